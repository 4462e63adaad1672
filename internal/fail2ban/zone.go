package fail2ban

import (
	"fmt"
	"strconv"
	"strings"
)

// zoneHours are the offsets of named zones in hours; the letters of military
// zones are worked out.
var zoneHours = map[string]float64{
	"UTC": 0, "GMT": 0, "WET": 0, "WT": 0, "EGST": 0,
	"CET": 1, "WAT": 1, "WEST": 1, "DFT": 1, "CEST": 2, "CEDT": 2, "EET": 2, "SAST": 2, "CAT": 2, "WAST": 2,
	"MSK": 3, "EAT": 3, "EEST": 3, "EEDT": 3, "IDT": 3, "IRST": 3.5, "MSD": 4, "GST": 4, "GET": 4, "AZT": 4, "AMT": 4, "SAMT": 4, "MUT": 4,
	"AFT": 4.5, "IRDT": 4.5, "UZT": 5, "TMT": 5, "TJT": 5, "YEKT": 5, "MVT": 5, "SLT": 5.5, "NPT": 5.75, "ALMT": 6, "OMST": 6, "NOVT": 6, "MMT": 6.5, "CCT": 6.5,
	"ICT": 7, "WIB": 7, "KRAT": 7, "HKT": 8, "SGT": 8, "PHT": 8, "MYT": 8, "AWST": 8, "IRKT": 8, "ULAT": 8, "WITA": 8, "BNT": 8, "JST": 9, "KST": 9, "YAKT": 9, "WIT": 9,
	"ACST": 9.5, "AEST": 10, "PGT": 10, "VLAT": 10, "ACDT": 10.5, "LHST": 10.5, "AEDT": 11, "MAGT": 11, "NCT": 11, "SBT": 11, "NFT": 11.5, "NZST": 12, "FJT": 12, "PETT": 12, "NZDT": 13,
	"AZOT": -1, "CVT": -1, "FNT": -2, "BRST": -2, "UYST": -2, "NDT": -2.5, "HAT": -2.5, "ART": -3, "BRT": -3, "ADT": -3, "UYT": -3, "CLST": -3, "GFT": -3, "PYST": -3, "NST": -3.5, "NT": -3.5, "HNT": -3.5,
	"AST": -4, "EDT": -4, "CLT": -4, "BOT": -4, "PYT": -4, "GYT": -4, "VET": -4.5, "EST": -5, "ET": -5, "CDT": -5, "COT": -5, "PET": -5, "ECT": -5,
	"CST": -6, "MDT": -6, "GALT": -6, "MST": -7, "PDT": -7, "PST": -8, "PT": -8, "AKDT": -8, "AKST": -9, "HADT": -9, "MART": -9.5, "HAST": -10, "HST": -10, "CKT": -10, "TAHT": -10, "SST": -11, "NUT": -11,
}

// zoneOffset returns the offset of a zone such as Z, CEST, +0200, UTC-07:00, in
// minutes east of UTC.
func zoneOffset(s string) (int, error) {
	i := strings.IndexAny(s, "+-")
	name, off := s, ""
	if i >= 0 {
		name, off = s[:i], s[i:]
	}
	base, ok := zoneHours[name]
	if len(name) == 1 {
		base, ok = militaryHours(name[0])
	}
	if !ok && name != "" {
		return 0, fmt.Errorf("%w: the zone %q is not known", errDate, clip(s))
	}
	if off == "" {
		return int(base * 60), nil
	}
	digits := strings.Replace(off[1:], ":", "", 1)
	v, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 2 && len(digits) != 4 {
		return 0, errDate
	}
	if len(digits) == 2 {
		v *= 100
	}
	minutes := v/100*60 + v%100
	if off[0] == '-' {
		minutes = -minutes
	}
	return int(base*60) + minutes, nil
}

// militaryHours returns the offset of a zone of one letter.
func militaryHours(c byte) (float64, bool) {
	switch {
	case c == 'Z':
		return 0, true
	case c >= 'A' && c <= 'I':
		return float64(c-'A') + 1, true
	case c >= 'K' && c <= 'M':
		return float64(c - 'A'), true
	case c >= 'N' && c <= 'Y':
		return -float64(c-'N') - 1, true
	}
	return 0, false
}
