package etcdtest_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func rangeOf(prefix string) []clientv3.OpOption {
	return []clientv3.OpOption{clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithKeysOnly()}
}

// exampleTB is as much of a test as an example needs.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (e *exampleTB) Helper()                   {}
func (e *exampleTB) Cleanup(f func())          { e.cleanups = append(e.cleanups, f) }
func (e *exampleTB) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (e *exampleTB) Errorf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (e *exampleTB) TempDir() string {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	e.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// runTest stands for go test, which examples do without.
func runTest(test func(testing.TB)) {
	e := &exampleTB{}
	defer func() {
		for _, f := range slices.Backward(e.cleanups) {
			f()
		}
	}()
	test(e)
}
