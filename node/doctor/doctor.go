// Package doctor says what is wrong with a node, of what was found out about it. Whoever can
// look fills in Facts: the node itself, asked by RPC, knows its chain, peers and pool; a
// command that looks from outside knows files and ports, which is all that there is when no
// node runs.
//
//	findings := doctor.Diagnose(&doctor.Facts{Inside: inside})
//	if doctor.Worst(findings) >= doctor.Warning { … }
//
// A Finding has a Code that stays the same, evidence, and what to do next. Codes has all of
// them, and docs/doctor.md is that list. The first finding is the cause of the others as far as
// that can be told: what only follows from another is left out.
//
// A fact that is not known is the zero value, and never a reason for a finding. That nothing
// is wrong must be as certain as that something is: so each threshold stands far beyond what
// chance does to a node that is well.
package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Severity says how much a finding matters.
type Severity int

// The severities. A Notice is no alarm: a node that is well may have some.
const (
	Notice  Severity = iota + 1 // worth knowing
	Warning                     // something does not work as it should
	Fault                       // the node does not do its work
)

var severities = []string{Notice: "notice", Warning: "warning", Fault: "fault"}

// String returns the severity's name.
func (s Severity) String() string {
	if s < Notice || s > Fault {
		return "none"
	}
	return severities[s]
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(severities, string(text))
	if i < int(Notice) {
		return fmt.Errorf("severity %.20q: want notice, warning or fault", text)
	}
	*s = Severity(i)
	return nil
}

// Finding is something that the operator should know.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Summary  string   `json:"summary"`  // a sentence
	Evidence []string `json:"evidence"` // what was seen, never nil
	Next     string   `json:"next"`     // what to do
}

// Worst returns the highest severity, 0 for none.
func Worst(findings []Finding) (worst Severity) {
	for _, f := range findings {
		worst = max(worst, f.Severity)
	}
	return worst
}

// Count counts the findings of a severity.
func Count(findings []Finding, s Severity) (n int) {
	for _, f := range findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Sort puts the worst first, and of two that are alike the one that may be the cause of the other.
func Sort(findings []Finding) {
	rank := map[string]int{}
	for i, c := range Codes {
		rank[c.Name] = i
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		if a.Severity != b.Severity {
			return int(b.Severity) - int(a.Severity)
		}
		return rank[a.Code] - rank[b.Code]
	})
}

// Diagnose returns what is wrong, the worst first.
func Diagnose(f *Facts) []Finding {
	d := &diagnosis{findings: []Finding{}}
	if f.Outside != nil {
		d.outside(f.Outside)
	}
	if f.Inside != nil {
		d.inside(f.Inside)
	}
	if f.Machine != nil {
		d.machine(f.Machine, f.Inside)
	}
	if f.Transaction != nil {
		d.transaction(f.Transaction)
	}
	Sort(d.findings)
	return d.findings
}

// diagnosis collects findings.
type diagnosis struct{ findings []Finding }

// add adds a finding. Its severity and next step are those of the code, unless it is given
// another severity.
func (d *diagnosis) add(code string, evidence ...string) *Finding {
	c := codeOf(code)
	d.findings = append(d.findings, Finding{Code: code, Severity: c.Severity, Summary: c.Summary, Evidence: append([]string{}, evidence...), Next: c.Next})
	return &d.findings[len(d.findings)-1]
}

// has reports whether one of some codes was found.
func (d *diagnosis) has(codes ...string) bool {
	return slices.ContainsFunc(d.findings, func(f Finding) bool { return slices.Contains(codes, f.Code) })
}

// most is how many of a kind are told as evidence: the rest is counted.
const most = 5

// some returns evidence of many things.
func some(list []string) []string {
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
}

// span writes a length of time in its largest unit.
func span(d time.Duration) string {
	d = d.Abs()
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := d / unit.length; n >= 2 {
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return fmt.Sprintf("%d seconds", int64(d.Seconds()))
}

// size writes bytes in the largest unit of which there are some.
func size(bytes uint64) string {
	units, value := "KMGTPE", float64(bytes)
	if bytes < 1024 {
		return fmt.Sprintf("%d bytes", bytes)
	}
	unit := -1
	for value >= 1024 && unit+1 < len(units) {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.3g %ciB", value, units[unit])
}

// plural writes a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Size returns bytes as findings write them.
func Size(bytes uint64) string { return size(bytes) }
