// Command app is flagd, a feature-flag service: the first thing to run in this repository, and code to learn from.
//
//	go run ./examples/app
//
// starts an etcd in this process and serves flags that live in it. The repository's README.md says what to try, options.go lists what it is made of.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"go.uber.org/dig"
	"go.uber.org/fx"
)

const exitFailed, exitForced = 1, 130

var (
	errInterrupted = errors.New("interrupted while starting")
	errShutdown    = errors.New("stopped by itself, the log says why")
)

func main() {
	settings, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		err = serve(settings, os.Stdout)
		settings.cleanUp()
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "flagd:", sentence(err))
		os.Exit(exitFailed)
	}
}

// serve runs the application until it is asked to stop, by the first signal or from within. A second signal ends the process at once.
// Left to Fx, a signal during start would kill it without any clean-up, and a second one be swallowed.
func serve(settings settings, stdout io.Writer) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	running, interrupt := context.WithCancelCause(context.Background())
	go func() {
		<-signals
		interrupt(errInterrupted)
		<-signals
		settings.cleanUp()
		os.Exit(exitForced)
	}()

	app := fx.New(options(settings, stdout))
	starting, cancel := context.WithTimeout(running, app.StartTimeout())
	defer cancel()
	if err := app.Start(starting); err != nil {
		return errors.Join(context.Cause(running), err)
	}
	var shutdown fx.ShutdownSignal
	select {
	case <-running.Done():
	case shutdown = <-app.Wait():
	}
	stopping, cancel := context.WithTimeout(context.Background(), app.StopTimeout())
	defer cancel()
	err := app.Stop(stopping)
	if err == nil && shutdown.ExitCode != 0 {
		err = errShutdown
	}
	return err
}

// sentence is what an error of Fx says is wrong, without the path by which Fx came upon it, on one line.
func sentence(err error) string {
	return strings.Join(strings.Fields(dig.RootCause(err).Error()), " ")
}
