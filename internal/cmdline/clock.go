package cmdline

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"
)

// flagUTC is the flag that shows times in UTC.
const flagUTC = "utc"

// UTCFlag returns the flag --utc of programs that show times.
func UTCFlag() cli.Flag {
	return &cli.BoolFlag{Name: flagUTC, Usage: "show times in UTC instead of this machine's time zone"}
}

// timeFormat is how times are shown: to the minute, as a block's time is no better, and
// with the zone, as two people who compare may live in two.
const timeFormat = "2006-01-02 15:04 MST"

// Time returns a time, in seconds since 1970, as people read it: in the zone of this
// machine, or in UTC if --utc says so.
func Time(c *cli.Context, unix int64) string {
	t := time.Unix(unix, 0)
	if c.Bool(flagUTC) {
		t = t.UTC()
	}
	return t.Format(timeFormat)
}

// Span returns a length of time in its largest unit: "40 seconds", "3 hours", "12
// days". A negative one is none.
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{365 * day, "year"}, {day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		// Below two, the next unit tells more: 90 minutes are no hour.
		if n := d / unit.length; n >= 2 {
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	if n := max(d, 0) / time.Second; n != 1 {
		return fmt.Sprintf("%d seconds", n)
	}
	return "1 second"
}
