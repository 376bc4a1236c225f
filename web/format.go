package web

import (
	"encoding/hex"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// The texts of numbers and times. Each has its value beside it, so that a script can write
// it as the reader's language does; without one it stands as here. All are of this
// package's own making, so that they are safe as HTML.

// amount is grains, in coins.
func amount(a types.Amount) template.HTML {
	text := a.String()
	whole, fraction, _ := strings.Cut(text, ".")
	shown := strings.TrimRight(fraction, "0")
	for len(shown) < 2 {
		shown += "0"
	}
	return template.HTML(fmt.Sprintf(`<data class="num" value="%s" data-digits="%d">%s.%s</data>`, text, len(shown), groups(whole), shown))
}

// count is a whole number.
func count(n any) template.HTML {
	text := fmt.Sprint(n)
	return template.HTML(fmt.Sprintf(`<data class="num" value="%s">%s</data>`, text, groups(text)))
}

// groups writes the thousands of a whole number apart.
func groups(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return sign + digits
}

// feeRate is grains a virtual byte.
func feeRate(r types.FeeRate) template.HTML {
	return decimal(float64(r)/1000, rateDigits(float64(r)/1000))
}

func rateDigits(r float64) int {
	switch {
	case r >= 100:
		return 0
	case r >= 10:
		return 1
	}
	return 2
}

// decimal is a number with at most so many decimals.
func decimal(f float64, digits int) template.HTML {
	text := strconv.FormatFloat(f, 'f', digits, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	fraction = strings.TrimRight(fraction, "0")
	shown := groups(whole)
	if fraction != "" {
		shown += "." + fraction
	}
	return template.HTML(fmt.Sprintf(`<data class="num" value="%s" data-digits="%d">%s</data>`, text, len(fraction), shown))
}

// scaled is a number with a unit before which there is a prefix: 12.3 MH/s.
func scaled(n any, unit string) template.HTML {
	f := float(n)
	prefixes := []string{"", "k", "M", "G", "T", "P", "E", "Z"}
	i := 0
	for math.Abs(f) >= 1000 && i < len(prefixes)-1 {
		f /= 1000
		i++
	}
	return decimal(f, rateDigits(f)) + template.HTML("\u202f"+prefixes[i]+template.HTMLEscapeString(unit))
}

// size is bytes.
func size(n any) template.HTML { return scaled(n, "B") }

// float is any number as one.
func float(n any) float64 {
	f, _ := strconv.ParseFloat(fmt.Sprint(n), 64)
	return f
}

// work is a difficulty: far below one on a network that anybody can mine.
func work(d float64) template.HTML {
	if d == 0 || d >= 0.001 {
		return scaled(d, "")
	}
	power := int(math.Floor(math.Log10(d)))
	return decimal(d/math.Pow10(power), 2) + template.HTML(fmt.Sprintf("\u202f·\u202f10<sup>%d</sup>", power))
}

// percent is a share of one.
func percent(f float64) template.HTML {
	digits := 1
	if f != 0 && math.Abs(f) < 0.01 {
		digits = 3
	}
	return decimal(100*f, digits) + "\u202f%"
}

// when is a moment.
func when(t time.Time) template.HTML {
	t = t.UTC()
	if t.Year() > 9999 { // which is no date that a browser reads
		return template.HTML(fmt.Sprintf("the year %d", t.Year()))
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`,
		t.Format(time.RFC3339), t.Format("2006-01-02 15:04:05 UTC"), t.Format("2006-01-02 15:04:05 UTC")))
}

// seconds is a moment in seconds since 1970.
func seconds(n uint32) time.Time { return time.Unix(int64(n), 0) }

// ago is how long a moment lies back, which a script keeps true.
func ago(t, now time.Time) template.HTML {
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time class="ago" datetime="%s" title="%s">%s ago</time>`,
		t.Format(time.RFC3339), t.Format("2006-01-02 15:04:05 UTC"), span(now.Sub(t))))
}

// span is a time in its largest unit, or in the two largest where one is coarse.
func span(d time.Duration) string { return spanOf(d.Seconds()) }

// spanOf is span of seconds, of which a slow network's plans have more than a duration holds.
func spanOf(seconds float64) string {
	s := int64(min(max(seconds, 0), 1<<62))
	switch {
	case s < 90:
		return fmt.Sprintf("%d s", s)
	case s < 90*60:
		return fmt.Sprintf("%d min", (s+30)/60)
	case s < 36*3600:
		return fmt.Sprintf("%d h %d min", s/3600, s%3600/60)
	case s < 60*24*3600:
		return fmt.Sprintf("%d days", (s+12*3600)/(24*3600))
	case s < 2*365*24*3600:
		return fmt.Sprintf("%d months", s/(30*24*3600))
	}
	return fmt.Sprintf("%.1f years", float64(s)/(365.25*24*3600))
}

// short is a hash, or another long word of digits, with its middle left out.
func short(v any) template.HTML {
	text := fmt.Sprint(v)
	if len(text) <= 20 {
		return template.HTML(template.HTMLEscapeString(text))
	}
	return template.HTML(template.HTMLEscapeString(text[:10]) + "…" + template.HTMLEscapeString(text[len(text)-8:]))
}

// hexed is bytes in hexadecimal, at most so many.
func hexed(b []byte, most int) string {
	if len(b) > most {
		return hex.EncodeToString(b[:most]) + "…"
	}
	return hex.EncodeToString(b)
}

// plural is a number with its noun.
func plural(n any, noun string) template.HTML {
	if fmt.Sprint(n) != "1" {
		noun += "s"
	}
	return count(n) + template.HTML(" "+template.HTMLEscapeString(noun))
}
