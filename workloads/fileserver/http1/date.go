package http1

import "time"

// DateBytes is the length of a date in the form that servers send.
const DateBytes = len("Mon, 02 Jan 2006 15:04:05 GMT")

const (
	days   = "SunMonTueWedThuFriSat"
	months = "JanFebMarAprMayJunJulAugSepOctNovDec"
)

// AppendDate appends the time, unix seconds, as an IMF-fixdate (RFC 9110, 5.6.7).
func AppendDate(dst []byte, sec int64) []byte {
	t := time.Unix(sec, 0).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	w, m := int(t.Weekday())*3, (int(month)-1)*3
	dst = append(dst, days[w:w+3]...)
	dst = append(dst, ", "...)
	dst = append(two(dst, day), ' ')
	dst = append(dst, months[m:m+3]...)
	dst = append(dst, ' ')
	dst = append(two(two(dst, year/100), year%100), ' ')
	dst = append(two(dst, hour), ':')
	dst = append(two(dst, minute), ':')
	return append(two(dst, second), " GMT"...)
}

func two(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// ParseDate reads an IMF-fixdate, as all clients of this century send it, without
// allocating, and the two obsolete forms by package time. The result is in unix seconds.
func ParseDate(p []byte) (sec int64, ok bool) {
	if sec, ok = fixdate(p); ok {
		return sec, true
	}
	for _, layout := range []string{time.RFC850, time.ANSIC} {
		if t, err := time.Parse(layout, string(p)); err == nil {
			return t.Unix(), true
		}
	}
	return 0, false
}

func fixdate(p []byte) (sec int64, ok bool) {
	if len(p) != DateBytes || p[3] != ',' || p[4] != ' ' || p[7] != ' ' || p[11] != ' ' || p[16] != ' ' ||
		p[19] != ':' || p[22] != ':' || string(p[25:]) != " GMT" {
		return 0, false
	}
	day, ok1 := digits(p[5:7])
	year, ok2 := digits(p[12:16])
	hour, ok3 := digits(p[17:19])
	minute, ok4 := digits(p[20:22])
	second, ok5 := digits(p[23:25])
	month := 0
	for i := 0; i < len(months); i += 3 {
		if string(p[8:11]) == months[i:i+3] {
			month = i/3 + 1
		}
	}
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || month == 0 || day == 0 || day > 31 || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC).Unix(), true
}

func digits(p []byte) (n int, ok bool) {
	for _, c := range p {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
