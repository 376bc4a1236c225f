package cmdline

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// FromEnvironment lets the environment set these flags: --rpc-listen is
// KARAT_RPC_LISTEN. The command line wins over the environment. It is for flags that
// somebody sets once and for all, such as the network, and not for those that belong
// to one call of a command.
func FromEnvironment(flags ...cli.Flag) []cli.Flag {
	for _, flag := range flags {
		names := []string{EnvironmentName(flag.Names()[0])}
		switch f := flag.(type) {
		case *cli.StringFlag:
			f.EnvVars = names
		case *cli.StringSliceFlag:
			f.EnvVars = names
		case *cli.BoolFlag:
			f.EnvVars = names
		case *cli.DurationFlag:
			f.EnvVars = names
		case *cli.GenericFlag:
			f.EnvVars = names
		}
	}
	return flags
}

// EnvironmentName returns the environment variable of a flag.
func EnvironmentName(flag string) string {
	return "KARAT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// checkEnvironment finds values in the environment that their flags cannot have. The
// parser would find them too, but name neither the variable nor what is wanted.
func checkEnvironment(flags []cli.Flag) error {
	for _, flag := range flags {
		documented, ok := flag.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		for _, name := range documented.GetEnvVars() {
			if value := os.Getenv(name); value != "" {
				if err := Check(flag, value); err != nil {
					return Usagef("%s %s: %w", name, value, err)
				}
			}
		}
	}
	return nil
}

// Check returns an error if a flag cannot have a value. It says what is wanted
// instead, so that command line, environment and configuration file can each say
// where the value stood.
func Check(flag cli.Flag, value string) error {
	switch f := flag.(type) {
	case *cli.BoolFlag:
		if _, err := strconv.ParseBool(value); err != nil {
			return errors.New("want true or false")
		}
	case *cli.DurationFlag:
		if _, err := time.ParseDuration(value); err != nil {
			return errors.New(`want a time with a unit, such as "500ms" or "30s"`)
		}
	case *cli.GenericFlag:
		switch v := f.Value.(type) {
		case *number:
			_, err := v.parse(value)
			return err
		case *size:
			_, err := v.parse(value)
			return err
		case interface{ Check(text string) error }: // of a kind that its program alone knows
			return v.Check(value)
		}
	}
	return nil
}

// Number is the value of a flag that is a whole number from least to most. It is
// stored in to, which holds the default until the flag is given.
func Number(to *int64, byDefault, least, most int64) cli.Generic {
	*to = byDefault
	return &number{to, least, most}
}

type number struct {
	to          *int64
	least, most int64
}

func (n *number) parse(text string) (int64, error) {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value < n.least || value > n.most {
		return 0, fmt.Errorf("want a whole number from %d to %d", n.least, n.most)
	}
	return value, nil
}

// Set implements flag.Value.
func (n *number) Set(text string) (err error) {
	value, err := n.parse(text)
	if err == nil {
		*n.to = value
	}
	return err
}

// String implements flag.Value.
func (n *number) String() string { return strconv.FormatInt(*n.to, 10) }

// Size is the value of a flag that is a number of bytes. As with Bitcoin Core, a number
// alone is of MiB, small letters after it are powers of 1000, and capitals of 1024. It is
// stored in to, which holds the default until the flag is given.
func Size(to *uint64, byDefault uint64) cli.Generic {
	*to = byDefault
	return &size{to}
}

type size struct{ to *uint64 }

func (s *size) parse(text string) (uint64, error) {
	units := map[string]uint64{
		"": 1 << 20, "k": 1e3, "K": 1 << 10, "m": 1e6, "M": 1 << 20, "g": 1e9, "G": 1 << 30, "t": 1e12, "T": 1 << 40,
	}
	digits := strings.TrimRight(text, "kKmMgGtT")
	n, err := strconv.ParseUint(digits, 10, 64)
	unit, known := units[text[len(digits):]]
	if err != nil || !known || n > math.MaxInt64/unit {
		return 0, errors.New("want a number of MiB, or one with a unit, such as 500M or 2G")
	}
	return n * unit, nil
}

// Set implements flag.Value.
func (s *size) Set(text string) (err error) {
	bytes, err := s.parse(text)
	if err == nil {
		*s.to = bytes
	}
	return err
}

// String implements flag.Value.
func (s *size) String() string { return strconv.FormatUint(*s.to>>20, 10) }
