package wallet

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"unicode/utf8"
)

// The bounds of a file of labels, and of what is told about it.
const (
	maxLabelFile     = 64 << 20
	maxLabelProblems = 20
)

// errLabelType is the error of a record of a type that BIP329 does not define, which it asks
// wallets to ignore.
var errLabelType = errors.New("a type that is not known")

// labelRecord is a record that was read, and which of its fields were there: those that were
// not leave alone what the wallet has.
type labelRecord struct {
	Label
	line         int
	hasText, cut bool // cut: the text was too long, or had characters that cannot be shown
}

// parseLabel reads a record of BIP329. Fields that are not known are kept.
func parseLabel(line []byte, hrp string) (r labelRecord, err error) {
	if !utf8.Valid(line) {
		return r, errors.New("it is not UTF-8")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil || fields == nil {
		return r, errors.New("it is not a JSON object")
	}
	for name, to := range map[string]*string{"type": (*string)(&r.Type), "ref": &r.Ref, "label": &r.Text, "origin": &r.Origin} {
		raw, ok := fields[name]
		if delete(fields, name); !ok || string(raw) == "null" {
			continue
		}
		if err := json.Unmarshal(raw, to); err != nil {
			return r, fmt.Errorf("%s: want a text", name)
		}
		r.hasText = r.hasText || name == "label"
	}
	if raw, ok := fields["spendable"]; ok && string(raw) != "null" {
		if err := json.Unmarshal(raw, &r.Spendable); err != nil {
			return r, errors.New("spendable: want true or false, without quotes")
		}
	}
	delete(fields, "spendable")
	if r.Type != LabelOutput { // it has no meaning elsewhere
		r.Spendable = nil
	}
	r.other = fields
	return r, r.check(hrp)
}

// check brings the fields of a record that was read into the wallet's form.
func (r *labelRecord) check(hrp string) (err error) {
	known := false
	for _, t := range labelTypes {
		known = known || t.name == r.Type
	}
	switch {
	case r.Type == "":
		return errors.New("it has no type")
	case !known:
		return errLabelType
	case r.Ref == "":
		return errors.New("it has no ref")
	case len(r.Origin) > maxLabelOrigin || strings.ContainsFunc(r.Origin, func(c rune) bool { return c < ' ' || c > '~' }):
		return errors.New("origin: want an output descriptor without keys")
	}
	if r.Ref, err = checkRef(r.Type, hrp, r.Ref); err != nil {
		return err
	}
	text := strings.TrimSpace(strings.Map(func(c rune) rune {
		if notInLabel(c) {
			return ' '
		}
		return c
	}, r.Text))
	if utf8.RuneCountInString(text) > MaxLabel {
		text = string([]rune(text)[:MaxLabel])
	}
	r.cut, r.Text = text != r.Text, text
	return nil
}

// LabelProblem is a line of a file that could not be taken.
type LabelProblem struct {
	Line int // the first is 1
	Err  error
}

// LabelImport is what came of an import.
type LabelImport struct {
	Changed   int // records that say something new
	Unchanged int
	Ignored   int            // of types that are not known
	Cut       int            // labels that were too long, or had characters that cannot be shown
	Foreign   int            // records of other wallets, by their origin: kept for an export
	Failed    int            // lines that could not be taken
	Problems  []LabelProblem // the first of these
}

func (r *LabelImport) fail(line int, err error) {
	if r.Failed++; len(r.Problems) < maxLabelProblems {
		r.Problems = append(r.Problems, LabelProblem{line, err})
	}
}

// ImportLabels takes labels from a file of BIP329: a JSON object in each line. Fields that a
// record lacks leave alone what the wallet has. A line that is wrong is left out and reported;
// all others are stored in one step. The error is that of the reader, of a file that is too
// large, or of the database, and then nothing was stored.
func (w *Wallet) ImportLabels(from io.Reader) (result LabelImport, err error) {
	var records []labelRecord
	lines := bufio.NewReaderSize(from, maxLabelLine)
	read := 0
	for number := 1; ; number++ {
		line, err := nextLine(lines, &read)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return result, err
		}
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		r, err := labelRecord{}, fmt.Errorf("it is longer than %d bytes", maxLabelLine-1)
		if len(line) < maxLabelLine {
			r, err = parseLabel(line, w.params.HRP)
		}
		switch {
		case errors.Is(err, errLabelType):
			result.Ignored++
			continue
		case err != nil:
			result.fail(number, err)
			continue
		case r.cut:
			result.Cut++
		}
		r.line = number
		if records = append(records, r); len(records) > maxLabels {
			return result, fmt.Errorf("%w: line %d: a file has %d labels at most", ErrLabel, number, maxLabels)
		}
	}
	return result, w.mergeLabels(records, &result)
}

// nextLine reads a line. Of one that is too long it returns the beginning, as long as what is
// too long, and skips the rest. It counts what was read, in all.
func nextLine(r *bufio.Reader, read *int) (line []byte, err error) {
	line, err = r.ReadSlice('\n')
	*read += len(line)
	if errors.Is(err, bufio.ErrBufferFull) {
		line = bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) && *read <= maxLabelFile {
			var more []byte
			more, err = r.ReadSlice('\n')
			*read += len(more)
		}
	}
	if *read > maxLabelFile {
		return nil, fmt.Errorf("%w: the file has more than %d MiB", ErrLabel, maxLabelFile>>20)
	}
	if errors.Is(err, io.EOF) && len(line) > 0 || errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	return line, err
}

// mergeLabels puts records of a file over those of the wallet.
func (w *Wallet) mergeLabels(records []labelRecord, result *LabelImport) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := map[labelKey]Label{}
	added := 0
	for i := range records {
		r := &records[i]
		key := w.labelKey(&r.Label)
		l, ok := changed[key]
		if !ok {
			if l, ok = w.labels[key]; !ok {
				l = Label{Type: r.Type, Ref: r.Ref}
				added++
			}
		}
		before, _ := l.MarshalJSON()
		l.other = maps.Clone(l.other)
		l.merge(r)
		after, _ := l.MarshalJSON()
		if len(after) >= maxLabelLine {
			result.fail(r.line, fmt.Errorf("with what is noted already it is longer than %d bytes", maxLabelLine-1))
			continue
		}
		if key.foreign != "" {
			result.Foreign++
		}
		if bytes.Equal(before, after) {
			result.Unchanged++
			continue
		}
		result.Changed++
		changed[key] = l
	}
	if len(w.labels)+added > maxLabels {
		return fmt.Errorf("%w: the wallet would have more than %d", ErrLabel, maxLabels)
	}
	return w.storeLabels(changed)
}

// merge takes over the fields that a record has.
func (l *Label) merge(r *labelRecord) {
	if r.hasText {
		l.Text = r.Text
	}
	if r.Spendable != nil {
		l.Spendable = r.Spendable
	}
	if r.Origin != "" {
		l.Origin = r.Origin
	}
	if l.other == nil {
		l.other = map[string]json.RawMessage{}
	}
	maps.Copy(l.other, r.other)
}

// ExportLabels writes all labels as BIP329 has them: a JSON object in each line.
func (w *Wallet) ExportLabels(to io.Writer) error {
	b := bufio.NewWriter(to)
	for _, l := range w.Labels() {
		line, err := l.MarshalJSON()
		if err != nil {
			return err
		}
		b.Write(append(line, '\n')) // Flush has its error
	}
	return b.Flush()
}
