package cmdline

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A terminal takes some runes for commands: escape sequences clear it, move the cursor
// or change what is typed next, and controls of writing direction let one text look
// like another. Whoever writes a text that a person reads, a node or the author of a
// file, could use them to show what was never said. So two things are done:
//
// Everything that a program writes shows such a rune as the escape that JSON has for
// it, \u001b. JSON stays the same value that way, and people see what was tried.
//
// Printable does it too, and folds what is more than one line. It is for a text of
// somebody else within a line of ours, which must not be able to add lines.

// Printable returns a text of somebody else such that it can stand within a line: with
// escapes for what is not fit to be shown, and spaces for what ends a line.
func Printable(text string) string {
	return string(escape([]byte(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, text))))
}

// wrap breaks lines between words where they are longer than a terminal is wide, which would
// break them within words. The space before a break is left out: behind a full line it would
// stand alone in the next one. 0 columns are no terminal.
func wrap(text string, columns int) string {
	if columns == 0 {
		return text
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		at, spaces := 0, ""
		for word := range strings.SplitAfterSeq(line, " ") {
			text := strings.TrimRight(word, " ")
			if width := Width(strings.TrimSuffix(text, "\n")); at > 0 && at+len(spaces)+width > columns {
				out.WriteByte('\n')
				at, spaces = 0, ""
			}
			out.WriteString(spaces + text)
			at += len(spaces) + Width(text)
			spaces = word[len(text):]
		}
	}
	return out.String()
}

// Say prints a text and the end of its line, broken between words where a terminal is narrower.
func Say(w io.Writer, format string, args ...any) {
	fmt.Fprintln(w, wrap(fmt.Sprintf(format, args...), Columns(w)))
}

// isHarmless reports whether a rune only shows. Letters, marks, numbers, punctuation,
// symbols and spaces do; controls, formats and what no standard knows may do anything.
func isHarmless(r rune) bool { return r == '\n' || r == '\t' || unicode.IsGraphic(r) }

// endsLine reports whether a text begins with the end of a line as CSV has it.
func endsLine(text []byte) bool { return len(text) > 1 && text[0] == '\r' && text[1] == '\n' }

// escape returns a text with escapes for all runes but harmless ones. What is no UTF-8
// becomes the rune that stands for it.
func escape(text []byte) []byte {
	first := 0 // of the bytes that have to change
	for first < len(text) {
		r, size := utf8.DecodeRune(text[first:])
		if !isHarmless(r) && !endsLine(text[first:]) || r == utf8.RuneError && size == 1 {
			break
		}
		first += size
	}
	if first == len(text) {
		return text
	}
	out := append(make([]byte, 0, len(text)+32), text[:first]...)
	for rest := text[first:]; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if isHarmless(r) || endsLine(rest) {
			out, rest = utf8.AppendRune(out, r), rest[size:]
			continue
		}
		rest = rest[size:]
		if high, low := utf16.EncodeRune(r); high != unicode.ReplacementChar {
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
			continue
		}
		out = fmt.Appendf(out, `\u%04x`, r)
	}
	return out
}
