package reports

import (
	"math"
	"strconv"
	"strings"
)

// display says how a unit is shown: the factor to multiply by and the text.
func display(unit string) (factor float64, text string) {
	switch unit {
	case "us":
		return 1, "µs"
	case "bytes":
		return 1.0 / (1 << 20), "MiB"
	case "bytes/s":
		return 1.0 / (1 << 20), "MiB/s"
	case "1":
		return 1, ""
	case "1/s":
		return 1, "/s"
	default:
		return 1, unit
	}
}

// number writes four significant digits, all digits before the point, and
// thousands apart: 0.01234, 12.34, 1,234, 123,456.
func number(v float64) string {
	if v == 0 {
		return "0"
	}
	abs := math.Abs(v)
	if abs < 1e-4 || abs >= 1e15 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	decimals := max(0, 3-int(math.Floor(math.Log10(abs))))
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return thousands(text)
}

func thousands(text string) string {
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	whole, fraction, found := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + fraction
	}
	return sign + whole
}

// shown is a value in its display unit, without the unit's text.
func shown(v float64, unit string) string {
	factor, _ := display(unit)
	return number(v * factor)
}

// quantity is a value with its unit, for running text.
func quantity(v float64, unit string) string {
	_, text := display(unit)
	if text == "" {
		return shown(v, unit)
	}
	return shown(v, unit) + " " + text
}

// exact writes a value so that it reads back as the same float64.
func exact(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// times is a ratio in words: 0.82 becomes "18 % lower", 3.4 "3.4 times as high".
func times(ratio float64) string {
	switch {
	case math.Abs(ratio-1) < 0.0005:
		return "equal"
	case ratio >= 2:
		return strconv.FormatFloat(ratio, 'g', 3, 64) + " times as high"
	case ratio >= 1:
		return strconv.FormatFloat((ratio-1)*100, 'f', decimalsOfPercent(ratio-1), 64) + " % higher"
	default:
		return strconv.FormatFloat((1-ratio)*100, 'f', decimalsOfPercent(1-ratio), 64) + " % lower"
	}
}

func decimalsOfPercent(share float64) int {
	if share < 0.1 {
		return 1
	}
	return 0
}
