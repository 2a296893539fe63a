package fxqualifier_test

import (
	"context"
	"fmt"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxqualifier"
)

// What the examples are about. Messages name these lines.

type Channel string

var ByChannel = fxqualifier.NewAttribute[Channel]("channel")

type Notifier interface {
	Notify(text string)
}

type (
	Mail  struct{}
	Pager struct{}
)

func NewMail() *Mail   { return &Mail{} }
func NewPager() *Pager { return &Pager{} }

func (*Mail) Notify(text string)  { fmt.Println("mail:", text) }
func (*Pager) Notify(text string) { fmt.Println("pager:", text) }

var LogPath = fxqualifier.NewAttribute[string]("log_path")

type FileLog struct{ path string }

func NewFileLog(path string) *FileLog { return &FileLog{path} }

type Alerts struct{ notifiers *fxqualifier.Set[Notifier] }

func NewAlerts(notifiers *fxqualifier.Set[Notifier]) *Alerts { return &Alerts{notifiers} }

func (a *Alerts) Send(ctx context.Context, channel fxqualifier.Qualifier, text string) error {
	n, err := a.notifiers.Get(ctx, channel)
	if err == nil {
		n.Notify(text)
	}
	return err
}

type AlertsParams struct {
	fx.In

	Pager Notifier `name:"channel=pager"`
}

type LogParams struct {
	fx.In

	Plain *FileLog `name:"log_path=/var/log/my app.log"`
	Comma *FileLog `name:"log_path=a%2Cb"`
}

type OnCall struct{ notifier Notifier }

func NewOnCall(n Notifier) *OnCall { return &OnCall{n} }
