package etcdtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// childVariable holds, in the child's environment, the settings of the server that the child is to be.
const childVariable = "FXKIT_ETCDTEST_SERVER"

// What the child says on its standard output, once.
const (
	childReady  = "etcdtest: ready"
	childFailed = "etcdtest: failed: "
)

// A child process is the test's own binary, started again: it needs no etcd on the machine, and has the version that go.mod has.
// This init makes it a server before the binary gets to its tests. Without the variable it does nothing.
func init() {
	given, ok := os.LookupEnv(childVariable)
	if !ok {
		return
	}
	if err := serveChild(given); err != nil {
		fmt.Println(childFailed + strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
	os.Exit(0)
}

// serveChild serves until it is killed, or until the parent is gone, which closes standard input.
func serveChild(given string) error {
	var s settings
	if err := json.Unmarshal([]byte(given), &s); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	running, err := s.start(ctx)
	if err != nil {
		return err
	}
	fmt.Println(childReady)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	select {
	case <-gone:
		return nil
	case <-running.Failed():
		return running.Err()
	}
}
