package rpc

import (
	"context"

	"github.com/karatcoin/karat/rpc/labinfo"
)

// Lab is the network of nodes in one process that this node is one of.
type Lab interface {
	// Do does what a command says. It waits for those before, and ends when it is done.
	Do(ctx context.Context, c labinfo.Command) error
	Status(ctx context.Context) (labinfo.Status, error)
}

func labMethods() []method {
	return []method{
		{name: "lab_info", forTests: true, read: inLab(labInfo), about: "Returns what the lab is like: its time, its nodes and links. Only nodes of karatd dev --nodes are in a lab."},
		{name: "lab_do", forTests: true, own: true, slow: true, read: labDo, about: "Has the lab do what a command says, as the console of karatd dev --nodes does, and returns what the lab is like then.", params: []param{
			{name: "command", kind: kindString, about: "The command, such as \"mine 5\", \"wait 10m\", \"settle\", \"partition 0,1 / 2,3,4\", \"heal\", \"delay 2s\", \"loss 10%\", \"speed 1\""}}},
	}
}

// labJSON is the answer of both methods.
type labJSON struct {
	Seed       uint64        `json:"seed"`
	Time       int64         `json:"time"`
	Passed     float64       `json:"passed"`
	Speed      float64       `json:"speed"`
	Loss       float64       `json:"loss"`
	News       int           `json:"news"`
	Repeatable bool          `json:"repeatable"`
	Nodes      []labNodeJSON `json:"nodes"`
	Links      []labLinkJSON `json:"links"`
}

type labNodeJSON struct {
	Height  uint32 `json:"height"`
	Hash    string `json:"hash"`
	Found   uint64 `json:"found"`
	Waiting int    `json:"waiting"`
}

type labLinkJSON struct {
	A     int     `json:"a"`
	B     int     `json:"b"`
	Delay float64 `json:"delay"`
	Cut   bool    `json:"cut"`
}

// inLab makes a method of a function that needs a lab.
func inLab(do func(ctx context.Context, lab Lab) (any, error)) func(*Server, *args) work {
	return func(s *Server, a *args) work {
		if s.Lab == nil {
			a.fail(failf(CodeMisc, "This node is in no lab. karatd dev --nodes 5 runs one."))
		}
		return func(ctx context.Context) (any, error) { return do(ctx, s.Lab) }
	}
}

func labDo(s *Server, a *args) work {
	text := a.text(0, "")
	command, err := labinfo.Parse(text)
	if err != nil {
		a.fail(failf(CodeInvalidParam, "%s", err))
	}
	return inLab(func(ctx context.Context, lab Lab) (any, error) {
		if err := lab.Do(ctx, command); err != nil {
			return nil, failf(CodeMisc, "%s", err)
		}
		return labInfo(ctx, lab)
	})(s, a)
}

func labInfo(ctx context.Context, lab Lab) (any, error) {
	is, err := lab.Status(ctx)
	if err != nil {
		return nil, err
	}
	j := labJSON{
		Seed: is.Seed, Time: is.Now.Unix(), Passed: is.Passed.Seconds(), Speed: is.Speed, Loss: is.Loss, News: is.News, Repeatable: is.Repeatable,
		Nodes: []labNodeJSON{}, Links: []labLinkJSON{},
	}
	for _, n := range is.Nodes {
		j.Nodes = append(j.Nodes, labNodeJSON{n.Tip.Height, n.Tip.Hash.String(), n.Found, n.Waiting})
	}
	for _, k := range is.Links {
		j.Links = append(j.Links, labLinkJSON{k.A, k.B, k.Delay.Seconds(), k.Cut})
	}
	return j, nil
}
