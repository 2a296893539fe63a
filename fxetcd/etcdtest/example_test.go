package etcdtest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fxkit/fxkit/fxetcd/etcdtest"
)

// In a test: t is its *testing.T.
func ExampleStartProcess() {
	runTest(func(t testing.TB) {
		server := etcdtest.StartProcess(t)
		proxy := etcdtest.StartProxy(t, server.Endpoints()[0])
		c := etcdtest.Client(t, proxy.Endpoint())
		ctx := context.Background()

		_, err := c.Put(ctx, "k", "v")
		fmt.Println("written:", err)

		server.Kill()
		server.Restart()
		got, err := c.Get(ctx, "k")
		fmt.Println("survives kill -9:", string(got.Kvs[0].Value), err)

		proxy.Drop()
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err = c.Get(short, "k")
		fmt.Println("through a black hole:", err)

		proxy.Heal()
		got, err = c.Get(ctx, "k")
		fmt.Println("healed:", string(got.Kvs[0].Value), err)
	})
	// Output:
	// written: <nil>
	// survives kill -9: v <nil>
	// through a black hole: context deadline exceeded
	// healed: v <nil>
}
