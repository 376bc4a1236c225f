package rpc

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
)

// LogCategories are the parts of the node whose debug lines logging switches, in the
// order of the alphabet. The first three are Bitcoin Core's names.
var LogCategories = []string{"mempool", "net", "rpc", "stratum"}

// maxCategories bounds what a call of logging may name.
const maxCategories = 100

func loggingMethods() []method {
	return []method{
		{name: "logging", read: logging, about: "Returns of which parts debug lines are in the log, and switches them. include comes before exclude.\n" +
			"The valid logging categories are: " + strings.Join(LogCategories, ", ") + "\n" +
			"all (or 1) stands for each of them.", params: []param{
			{name: "include", kind: kindArray, optional: "none", sample: `'["all"]'`, about: "The categories whose debug lines are to be in the log"},
			{name: "exclude", kind: kindArray, optional: "none", sample: `'["net"]'`, about: "The categories whose debug lines are not to be there"}}},
	}
}

// logging is Core's logging. Core switches those before one that it does not know; here
// nothing is done then.
func logging(s *Server, a *args) work {
	include, exclude := a.categories(0), a.categories(1)
	return func(context.Context) (any, error) {
		if s.Logs == nil {
			return map[string]bool{}, nil
		}
		for _, name := range include {
			s.Logs.SetCategory(name, true)
		}
		for _, name := range exclude {
			s.Logs.SetCategory(name, false)
		}
		return s.Logs.Categories(), nil // encoding/json sorts the names
	}
}

// categories reads a list of categories.
func (a *args) categories(i int) (names []string) {
	for _, name := range a.texts(i, maxCategories) {
		switch {
		case name == "all" || name == "1" || name == "":
			names = append(names, LogCategories...)
		case !slices.Contains(LogCategories, name):
			a.fail(failf(CodeInvalidParam, "unknown logging category %.100s", name))
		default:
			names = append(names, name)
		}
	}
	return names
}

func echoMethods() []method {
	echoes := []method{
		{name: "echo", read: echoParams, about: "Answers with its parameters. It is for tests; bitcoin-cli sends them as texts."},
		{name: "echojson", read: echoParams, about: "Answers with its parameters. It is for tests; bitcoin-cli sends them as JSON."},
		{name: "echoipc", read: echoText, about: "Answers with its parameter. It is for tests of Bitcoin Core, where another process may answer.", params: []param{
			{name: "arg", kind: kindString, about: "The text"}}},
	}
	for i := range 2 {
		for _, digit := range "0123456789" {
			echoes[i].params = append(echoes[i].params, param{name: "arg" + string(digit), kind: kindAny, optional: "null", about: "Anything"})
		}
	}
	return echoes
}

// echoParams is Core's echo and echojson. What stands between those that are given is
// null. The last one can ask for what a bug in the node would look like.
func echoParams(_ *Server, a *args) work {
	list := slices.Clone(a.values[:a.count])
	for i := range list {
		if list[i] == nil {
			list[i] = json.RawMessage("null")
		}
	}
	const bug = "trigger_internal_bug"
	if isText(a.values[9], bug) {
		a.fail(failf(CodeMisc, "Internal bug detected: request.params[9].get_str() != %q", bug))
	}
	return func(context.Context) (any, error) { return list, nil }
}

// echoText is Core's echoipc where there is but one process.
func echoText(_ *Server, a *args) work {
	text := a.text(0, "")
	return func(context.Context) (any, error) { return text, nil }
}
