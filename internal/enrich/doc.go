// Package enrich tells who is behind an address: its names, its country, the
// network that announces it, who holds it, and where abuse is reported.
//
//	Look ──▶ databases on this disk ──▶ cache by network ──▶ RDAP ──▶ whois
//
// The composition root makes an [Enricher] and hands its functions to others:
// the API (`gatehouse whois`, `why`), messages, abuse reports.
//
// It refuses to decide anything, to be waited for by a decision, and to ask
// anybody outside unless it was allowed to: [Enricher.Known] never leaves this
// machine.
//
// Invariants:
//
//   - All that others answer is hostile. An answer is bounded in size and time;
//     of its text only what passes clean is kept: one line, no control
//     characters. Addresses for mail and names of hosts are checked by form.
//   - A server is asked at most once a second, and left alone for as long as it
//     says. Redirects and referrals are few, never in a circle, never to an
//     address that is not public.
//   - An answer that is not about the address that was asked for is no answer.
//   - A name counts as confirmed only if it leads back to the address.
//   - The cache is bounded by number and age.
package enrich
