// Package fxconfig gives an application one merged, read-only view of its YAML: layers for environments, variables from
// the environment, strict decoding into structs, and errors that name file, line, column, path and what would have been right.
//
//	type HTTPConfig struct {
//		BaseURL  string          `yaml:"baseURL"`
//		Timeout  time.Duration   `yaml:"timeout"`
//		Password fxconfig.Secret `yaml:"password"`
//	}
//
//	fx.New(
//		fxconfig.Module,                      // *fxconfig.Config, from config.yaml
//		fxconfig.Section[HTTPConfig]("http"), // HTTPConfig, from its section http
//		fx.Invoke(func(cfg HTTPConfig) { … }),
//	).Run()
//
// Without Fx it is [Load], then [Config.Decode] or [Get].
//
// # Layers
//
// [Load] reads sources and lays each above the ones before it. Without any it reads [DefaultSources]: the file that the environment
// variable CONFIG_FILE names, or config.yaml, and above it, if APP_ENV is set to prod, config.prod.yaml if there is one.
// [File], [Optional], [Layers], [Text] and [Value] make other sources; tests use Text, and programs with flags put a Value on top.
//
// Mappings merge deeply. Lists and scalars are replaced whole, and so is whatever meets a value of another kind. An explicit null clears what
// came before. A file without content changes nothing.
//
//	# config.yaml               # config.prod.yaml          # together
//	http:                       http:                       http:
//	  baseURL: http://a           baseURL: https://b          baseURL: https://b
//	  timeout: 3s                 tags: [prod]                timeout: 3s
//	  tags: [dev, local]          proxy: null                 tags: [prod]
//	  proxy: {host: p}                                        proxy: null
//
// # Decoding
//
// [Config.Decode] fills what it is given a pointer to. Its rules for structs are those of yaml.v3: a field's key is the
// name in its yaml tag or else its Go name in lower case, "-" hides it, inline takes in the fields of a struct or, as a map, all
// keys that no other field has. What yaml.v3 forgives is an error here: a key without a field, a key that comes twice, a value
// of the wrong type, a fraction for a whole number. All problems of a section come in one [*Error], a line each:
//
//	config.yaml:14:7: etcd.clients.main.endpiont: unknown key (did you mean "endpoints"?)
//	config.prod.yaml:3:12: http.timeout: expected a duration with its unit, such as 5s or 5ms, found the bare number 5
//
// The file is the one that set the value, whatever was merged over or under it; the column is that of the key if the key is wrong, or else of the value. Paths are dotted, items of a list are counted from
// 0, and a key that has dots itself is quoted: etcd.clients."a.b" ([Path] does that). The empty path is the whole configuration.
//
// An absent, empty or null section leaves the target as it was; [Config.Has] tells absent from empty. Several paths are merged as layers
// are, so that one section gives defaults to another; and what the target holds beforehand is the lowest layer of all:
//
//	cfg := HTTPConfig{Timeout: time.Second}
//	err := c.Decode(&cfg, "http.default", "http.main")
//
// A field may be known by further keys, in a tag of their own: `yaml:"endpoints" alias:"hosts,host"`. They are one key, so what a later layer or section
// sets under one name replaces what an earlier one set under another; two of them in one mapping are a problem. A struct that reads itself
// lists all the names that its UnmarshalYAML knows, on a field that is hidden: `yaml:"-" alias:"endpoints,hosts,host"`.
//
// A null inside a section sets its field to the zero value. Maps are merged into copies of the maps they meet, and so are the targets of pointers:
// nothing that a default points to is changed, and nothing decoded is shared with the Config or with another decoding.
//
// Any scalar may fill text, as it is written. Numbers may be written 0x1F, 0o17, 0b11, 1_000, 1e3. Booleans are true and false, and yes, no, on and off without quotes.
// Durations need units (1m30s), and [Size] reads bytes (4MiB, 64k). In an any, mappings are map[string]any, whatever their keys look like.
//
// # A type's own form
//
// A type with UnmarshalYAML or UnmarshalText reads itself, and its errors get position and path. Of the three forms,
// UnmarshalText([]byte) error is handed any scalar. UnmarshalYAML(func(any) error) error decodes with the function it is given, as
// often as it likes, and that is strict, with positions of its own. UnmarshalYAML(*yaml.Node) error gets a node whose variables are expanded and whose aliases and
// merge keys are resolved, but what it decodes from that node is decoded by yaml.v3, which cannot be strict there: an unknown key passes unnoticed.
// Prefer the function. None is called for null.
//
// # Validation
//
// Decode ends by calling Validate() error on the target and all it contains (see [Validate]), parts before wholes. What they return gets the path
// and position of the value they are about; [At] points further down, and errors.Join returns several:
//
//	func (c HTTPConfig) Validate() error {
//		if c.BaseURL == "" {
//			return fxconfig.At("baseURL", errors.New("is required"))
//		}
//		return nil
//	}
//
//	config.yaml:2:1: http.baseURL: is required
//
// Its position is that of the key, and for a key that is absent that of the nearest one around it. [Config.Fill] decodes without validating, for code that goes on
// to change the value, and [Config.Validate] does it afterwards.
//
// # Secrets
//
// A [Secret] is text that prints as [redacted] wherever it is formatted, logged or marshalled. No problem quotes a value that fills
// one, and messages about variables name the variable only.
//
// # Variables: reference
//
// A scalar value may refer to the environment, alone or inside longer text, also as an item of a list. Keys are not expanded.
//
//	${NAME}           the variable; an error if it is not set
//	${NAME:default}   the variable, or default if it is not set; the default may be empty
//	${NAME:?message}  the variable; an error with this message if it is not set
//	$${               a literal ${
//
// The name ends at the first colon, and keeps its case. The default ends at the first }, and is taken literally: it cannot contain another variable. A
// variable that is set but empty is set. The shell's ${NAME:-default} is refused, with the form to write instead. Whatever else has a dollar in it is text.
//
// Variables are looked up once, by Load, in what the sources have become after merging: a value that a later layer replaced is never expanded.
// One that is not set is a problem of its value, reported by what decodes it, so that a section which nobody reads does not keep
// the application from starting:
//
//	config.yaml:3:13: http.password: the environment variable HTTP_PASSWORD is not set, and ${HTTP_PASSWORD} has no default (${HTTP_PASSWORD:default} gives one)
//
// After its expansion a value without quotes has the type that its text has in YAML: ${PORT:8080} is a number. One in quotes is text in an any, but fills a
// number, a boolean or a duration as well, because in flow style YAML itself demands the quotes: {depth: "${DEPTH:3}"}. One that has an
// explicit tag keeps it. Text from the environment is never structure: "a: b", "[x]" or several lines stay in their value; and it is never null: ~ and
// null and nothing at all are text.
//
// A [Value] is literal: nothing in it is expanded.
//
// # Bounds
//
// No document hangs or exhausts the process. Refused, most of them before they are parsed, are those over 10 MiB, of more than a million
// values, or nested deeper than 10,000 (values and nesting are counted through aliases and merge keys), several documents in one file, and bytes that are
// not UTF-8. A %YAML directive may name version 1.1 only; yaml.v3 reads most of 1.2 without one.
//
// # Where it keeps state
//
// A Config never changes and may be read by many goroutines. What decoding knows about Go types is worked out once per type and kept for the process,
// like the caches in encoding/json; it follows from the types alone.
package fxconfig
