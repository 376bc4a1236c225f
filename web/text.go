package web

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable returns the text of a stranger as it may be shown: at most so many characters,
// in one line, without control characters and without those by which a text turns around,
// hides, or reaches out of its place. What stands in for them is U+FFFD. Markup is not its
// concern: html/template escapes.
func Printable(text string, most int) string {
	var b strings.Builder
	marks := 0
	for _, r := range text {
		if most--; most < 0 {
			b.WriteRune('…')
			break
		}
		if unicode.Is(unicode.M, r) { // marks pile up on the character before
			if marks++; marks > 2 {
				continue
			}
		} else {
			marks = 0
		}
		switch {
		case r == '\t' || r == '\n' || r == '\r' || unicode.Is(unicode.Zs, r):
			r = ' '
		case r == utf8.RuneError, !unicode.IsPrint(r), invisible(r):
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}

// invisible are characters that count as printable and show nothing.
func invisible(r rune) bool {
	switch r {
	case 0x034f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x3164, 0xffa0, 0x2800:
		return true
	}
	return unicode.Is(unicode.Variation_Selector, r)
}

// readable reports whether bytes are a text, and not a short number.
func readable(b []byte) bool {
	return utf8.RuneCount(b) >= 4 && utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f })
}

// message returns the text in bytes that may hold one: its readable parts of at least so
// many characters, of which fewer come about by chance. It is empty if there is none.
func message(b []byte, least, most int) string {
	var parts []string
	start := 0
	for i := 0; i <= len(b); {
		r, n := utf8.RuneError, 1
		if i < len(b) {
			r, n = utf8.DecodeRune(b[i:])
		}
		if r != utf8.RuneError && (unicode.IsPrint(r) || r == '\n') {
			i += n
			continue
		}
		if part := b[start:min(i, len(b))]; utf8.RuneCount(part) >= least {
			parts = append(parts, string(part))
		}
		i += n
		start = min(i, len(b))
	}
	return strings.TrimSpace(Printable(strings.Join(parts, " "), most))
}
