package bench_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/fxkit/fxkit/fxconfig"
)

type configInstance struct {
	BaseURL string        `yaml:"baseURL"`
	Timeout time.Duration `yaml:"timeout"`
	Retries int           `yaml:"retries"`
	Tags    []string      `yaml:"tags"`
}

func configDocument() string {
	var b strings.Builder
	b.WriteString("http:\n  default: {timeout: 3s, retries: 2}\n  clients:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "    c%d: {baseURL: \"http://h%d\", retries: %d, tags: [a, b]}\n", i, i, i)
	}
	return b.String()
}

// BenchmarkConfig reads ten thousand instances: what fxfactory needs of fxconfig for F16, beside yaml.v3 alone.
func BenchmarkConfig(b *testing.B) {
	document := configDocument()
	b.Run("yaml.v3/into a Node", func(b *testing.B) {
		for b.Loop() {
			var n yaml.Node
			if err := yaml.Unmarshal([]byte(document), &n); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("yaml.v3/into structs, strictly", func(b *testing.B) {
		for b.Loop() {
			var all struct {
				HTTP struct {
					Default configInstance
					Clients map[string]configInstance
				}
			}
			d := yaml.NewDecoder(bytes.NewReader([]byte(document)))
			d.KnownFields(true)
			if err := d.Decode(&all); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("fxconfig/Load", func(b *testing.B) {
		for b.Loop() {
			if _, err := fxconfig.Load(fxconfig.Text("config.yaml", document)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("fxconfig/Load and Decode each with its default", func(b *testing.B) {
		for b.Loop() {
			c, err := fxconfig.Load(fxconfig.Text("config.yaml", document))
			if err != nil {
				b.Fatal(err)
			}
			for _, name := range c.Keys("http.clients") {
				var got configInstance
				if err := c.Decode(&got, "http.default", fxconfig.Path("http", "clients", name)); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
