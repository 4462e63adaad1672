package fail2ban

// Pieces of the patterns of dates that are looked for by default.
const (
	atTime    = `%H:%M:%S`
	atBlank   = `%k:%M:%S` // the hour may have a blank for its first digit
	fraction  = `(?:\.%f)?`
	fractions = `(?:[.,]%f)?`
	inUTC     = `(?:\s*%z)?`
	between   = `(?:T|  ?)` // a day and its time
	// asctime is what syslog and asctime write, the weekday and the year at will.
	asctime = `(?:%a )?%b %d ` + atBlank + fraction + `(?: %ExY)?`
)

// alike returns a pattern of three parts with the same sign between them, one of
// those.
func alike(signs, first, second, third string) string {
	return first + `(?P<_sep>[` + signs + `])` + second + `(?P=_sep)` + third
}

// defaultPatterns are the dates that are looked for where a filter says nothing. The
// list and its order are part of what filters rely on: each is a form of date that
// some program writes, the most telling first.
var defaultPatterns = []string{
	alike(`-/.`, `%ExY`, `%m`, `%d`) + between + atTime + fractions + inUTC, // 2026-11-21T08:15:30.25+01:00
	asctime, // Nov 21 08:15:30
	`(?:%a )?%b %d %ExY ` + atBlank + fraction,                                 // Sat Nov 21 2026 08:15:30.250
	alike(`-/`, `%d`, `%m`, `(?:%ExY|%Exy)`) + ` ` + atBlank,                   // 21/11/2026 08:15:30
	alike(`-/`, `%d`, `%b`, `%ExY`) + `[ :]?` + atTime + fraction + `(?: %z)?`, // 21/Nov/2026:08:15:30 +0100, as web servers have it
	`%m/%d/%ExY:` + atTime,             // 11/21/2026:08:15:30
	`%m-%d-%ExY ` + atBlank + fraction, // 11-21-2026 08:15:30.250
	`EPOCH`,                            // 1795248930
	atLineBegin + atTime,               // 08:15:30 and no day
	`^<%m/%d/%Exy@` + atTime + `>`,     // <11/21/26@08:15:30>
	`%Exy%Exm%Exd  ?` + atTime,         // 261121  8:15:30
	`%b %d, %ExY %I:%M:%S %p`,          // Nov 21, 2026 8:15:30 AM
	`^%b-%d-%Exy ` + atBlank,           // Nov-21-26 08:15:30
	`%ExY%Exm%Exd` + between + `%ExH%ExM%ExS` + fractions + inUTC, // 20261121T081530Z
	`(?:%Z )?` + asctime, // CET Nov 21 08:15:30
	`(?:%z )?` + asctime, // +01:00 Nov 21 08:15:30
	`TAI64N`,
}
