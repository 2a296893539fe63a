package watch_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxetcd/embedded"
	"github.com/fxkit/fxkit/fxetcd/watch"
	"github.com/fxkit/fxkit/internal/snippets"
)

// withClient calls fn with a client of a server of its own.
func withClient(fn func(ctx context.Context, client *clientv3.Client)) {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	server, err := embedded.Start(ctx, embedded.Config{Dir: dir}, embedded.WithLogger(zap.NewNop()))
	if err != nil {
		panic(err)
	}
	defer func() { _ = server.Stop(ctx) }()
	client, err := clientv3.New(clientv3.Config{Endpoints: server.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()
	fn(ctx, client)
}

func ExamplePrefix() {
	withClient(func(ctx context.Context, client *clientv3.Client) {
		_, _ = client.Put(ctx, "flags/beta", "on")
		ctx, cancel := context.WithCancel(ctx)
		flags := map[string]string{}
		ready := func(flags map[string]string) {
			fmt.Println(flags)
			cancel() // this example has seen enough
		}
		follow := func() error {
			for e, err := range watch.Prefix(ctx, client, "flags/") {
				switch {
				case err != nil:
					return err
				case e.Type == watch.Put:
					flags[e.Key] = string(e.Value)
				case e.Type == watch.Delete:
					delete(flags, e.Key)
				case e.Type == watch.Synced:
					ready(flags) // what has been applied is what etcd held at e.Revision
				}
			}
			return nil
		}
		fmt.Println(follow())
	})
	// Output:
	// map[flags/beta:on]
	// <nil>
}

func ExampleMirror() {
	withClient(func(ctx context.Context, client *clientv3.Client) {
		_, _ = client.Put(ctx, "flags/beta", "true")
		_, _ = client.Put(ctx, "flags/dark", "perhaps")

		flags, err := watch.Mirror(ctx, client, "flags/", func(key string, value []byte) (bool, error) {
			return strconv.ParseBool(string(value))
		})
		if err != nil {
			panic(err)
		}
		defer func() { _ = flags.Close() }()
		fmt.Println(flags.Get("flags/beta"))
		fmt.Println(flags.Get("flags/dark"))
		fmt.Println(flags.Err())

		changed := flags.Changed()
		_, _ = client.Put(ctx, "flags/dark", "false")
		<-changed
		fmt.Println(flags.Get("flags/dark"))
		fmt.Println(flags.Err())
	})
	// Output:
	// true true
	// false false
	// watch: mirror "flags/": decode "flags/dark": strconv.ParseBool: parsing "perhaps": invalid syntax
	// false true
	// <nil>
}

// Server-sent events that resume where the client was.
func ExampleRevisions() {
	withClient(func(ctx context.Context, client *clientv3.Client) {
		server := httptest.NewServer(events(client))
		defer server.Close()
		_, _ = client.Put(ctx, "flags/a", "1")

		id := read(server.URL, "", 2) // then the connection breaks
		_, _ = client.Txn(ctx).Then(clientv3.OpPut("flags/a", "2"), clientv3.OpPut("flags/b", "3"), clientv3.OpDelete("flags/x")).Commit()
		id = read(server.URL, id, 1) // between two events of one revision
		read(server.URL, id, 1)
	})
	// Output:
	// id: 2 event: Put data: flags/a=1
	// id: 2 event: Synced data: =
	// id: 3.1 event: Put data: flags/a=2
	// id: 3 event: Put data: flags/b=3
}

func events(client *clientv3.Client) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		w.Header().Set("Content-Type", "text/event-stream")
		for group, err := range watch.Revisions(ctx, client, "flags/", watch.After(r.Header.Get("Last-Event-ID"))) {
			if err != nil {
				return
			}
			for i, e := range group {
				fmt.Fprintf(w, "id: %s\nevent: %s\ndata: %s=%s\n\n", watch.ID(group, i), e.Type, e.Key, e.Value)
			}
			w.(http.Flusher).Flush()
		}
	}
}

// read prints n events after an id, and returns the id of the last.
func read(url, id string, n int) string {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	r.Header.Set("Last-Event-ID", id)
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		panic(err)
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	var event []string
	for n > 0 && lines.Scan() {
		if lines.Text() != "" {
			event = append(event, lines.Text())
			continue
		}
		fmt.Println(strings.Join(event, " "))
		id = strings.TrimPrefix(event[0], "id: ")
		event, n = nil, n-1
	}
	return id
}

func TestDocumentation_shows_code_that_runs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	for _, block := range snippets.Missing("doc.go", string(page), string(source)) {
		assert.Contains(t, block, "what the consumer sees", "the table is the only block that is no code")
	}
}
