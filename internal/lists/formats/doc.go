// Package formats reads and writes lists of addresses in the forms in which they
// are passed around: one a line, CSV, JSON, Spamhaus DROP, FireHOL netsets,
// `ipset save`, `iptables-save`, `nft -j list`, the files of PortSentry, csf and
// tcp wrappers; and writes bans for other programs.
//
// It is pure: a reader or bans in, entries or text out. It opens no file, asks no
// network, runs nothing and decides nothing: whether an entry may be banned is for
// others to say. It is called by the sensor of block lists, by the importers and by
// everything that exports.
//
// What is read is hostile. Memory is bounded: a line, a string of JSON or a head is
// at most MaxLine bytes, entries are handed over one by one and not kept. A line
// that is too long or makes no sense is left out and told, never guessed.
//
// What is written is deterministic: the same bans at the same moment give the same
// bytes, and no text of theirs can become syntax.
package formats
