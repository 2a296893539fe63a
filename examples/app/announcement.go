package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxetcd"
	"github.com/fxkit/fxkit/fxlifecycle"
)

// announcement says what is where, to whoever started the application.
type announcement struct {
	fx.In

	Coordinator *fxlifecycle.Coordinator
	API         *fxlifecycle.Server
	Etcd        *fxetcd.Factory
}

func (a announcement) announceTo(stdout io.Writer) {
	a.Coordinator.OnReady(func(context.Context) error {
		etcd, err := a.Etcd.Default()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "flagd serves http://%s/flags\nits data is in etcd at %s\nstop it with Ctrl-C\n",
			a.API.Addr(), strings.Join(etcd.Endpoints(), ", "))
		return err
	})
}
