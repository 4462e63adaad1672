// Package config reads the one configuration file of Gatehouse into a typed
// [Config].
//
// The structs in config.go are the whole definition: each field carries in its
// tags the key, what it means, its default, an example and its checks. From
// them come the strict reader ([Load], [Parse]), the commented reference that
// people start from ([Reference]), the schema that editors read ([Schema]) and
// the way back to text ([Config.YAML]). A new setting is one line in a struct, a
// new section one struct and one line. The tags are described at [field].
//
// Reading is strict and says everything at once: unknown and duplicate keys,
// wrong types and bad values are [Problems], sorted by position, each with file,
// line, column, an excerpt and a hint. Only damaged YAML ends the reading at its
// first fault, since what follows cannot be told apart any more.
//
// The package refuses: anchors, aliases, merge keys, tags, directives and
// several documents; tabs, control characters and text that is not UTF-8; files
// over 1 MB, deep nesting and very many nodes. So time and memory are bounded
// whatever the file holds. It expands no variable, includes no other file,
// resolves no name and starts nothing. A key without a value keeps its default.
//
// The composition root calls it at start, at reload and for `check`, and maps
// the result onto the components' own configuration. Parse is a pure function of
// its arguments; Load reads the one file it is given. Both are safe for
// concurrent use.
package config
