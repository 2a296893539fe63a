package fxetcd

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/fxkit/fxkit/fxconfig"
)

// Validate tells what in the configuration cannot work, and what would. It reads no files and reaches no servers.
func (c Config) Validate() error {
	var problems []error
	refuse := func(when bool, key, format string, args ...any) {
		if when {
			problems = append(problems, fxconfig.At(key, fmt.Errorf(format, args...)))
		}
	}
	parsed, err := parseEndpoints(c.Endpoints)
	if err != nil {
		problems = append(problems, fxconfig.At("endpoints", err))
	}
	plain := slices.IndexFunc(parsed, func(e endpoint) bool { return e.scheme == "http" })
	refuse(c.TLS != nil && plain >= 0, "tls", "an http:// endpoint is not encrypted, whatever tls says: write https://, or remove tls")

	refuse(c.DialTimeout < 0, "dialTimeout", "%v: must be positive (startup: skip does without the wait)", c.DialTimeout)
	refuse(c.KeepAliveTime > 0 && c.KeepAliveTime < minKeepAliveTime, "keepAliveTime",
		"%v is too often: servers close the connections of clients that ask more than every 10s", c.KeepAliveTime)
	refuse(c.KeepAliveTimeout < 0, "keepAliveTimeout", "%v: must be positive (a negative keepAliveTime switches keepalives off)", c.KeepAliveTimeout)
	refuse(c.ConnectBackoff.Base < 0, "connectBackoff.base", "%v: must be positive", c.ConnectBackoff.Base)
	refuse(c.ConnectBackoff.Max < 0, "connectBackoff.max", "%v: must be positive", c.ConnectBackoff.Max)
	refuse(c.ConnectBackoff.MinConnectTimeout < 0, "connectBackoff.minConnectTimeout", "%v: must be positive", c.ConnectBackoff.MinConnectTimeout)
	refuse(c.ConnectBackoff.Max > 0 && c.ConnectBackoff.Base > c.ConnectBackoff.Max, "connectBackoff.base",
		"%v is more than max, %v", c.ConnectBackoff.Base, c.ConnectBackoff.Max)

	refuse(c.MaxSendSize < 0, "maxSendSize", "must be positive")
	refuse(c.MaxReceiveSize < 0, "maxReceiveSize", "must be positive")
	refuse(c.MaxReceiveSize > 0 && c.MaxSendSize > c.MaxReceiveSize, "maxSendSize",
		"%d bytes are more than maxReceiveSize, %d: what was written could not be read back", c.MaxSendSize, c.MaxReceiveSize)
	refuse(c.AutoSyncInterval < 0, "autoSyncInterval", "%v: must be positive", c.AutoSyncInterval)
	refuse(c.AutoSyncInterval > 0 && c.AutoSyncInterval < minAutoSyncInterval, "autoSyncInterval",
		"%v is too often: members seldom change, so at least %v", c.AutoSyncInterval, minAutoSyncInterval)
	refuse(c.BackoffWaitBetween < 0, "backoffWaitBetween", "%v: must be positive", c.BackoffWaitBetween)
	refuse(!(c.BackoffJitter >= 0 && c.BackoffJitter <= 1), "backoffJitter", "%v: a fraction from 0 to 1", c.BackoffJitter)

	refuse(c.Username != "" && c.Password == "", "username", "a username without a password: the client would go unauthenticated")
	refuse(c.Username == "" && c.Password != "", "password", "a password without a username")
	refuse(c.Token != "" && c.Username != "", "token", "either a token, or a username and a password")
	refuse(c.Startup != "" && c.Startup != Probe && c.Startup != Skip, "startup", "%w", unknownStartup(c.Startup))
	return errors.Join(problems...)
}

// Validate tells what in the configuration cannot work. It reads no files.
func (t TLS) Validate() error {
	var problems []error
	if (t.Cert == "") != (t.Key == "") {
		problems = append(problems, errors.New("cert and key belong together: give both, or neither"))
	}
	if _, ok := tlsVersions[t.MinVersion]; !ok {
		problems = append(problems, fxconfig.At("minVersion", fmt.Errorf(`%q: "1.2" or "1.3", in quotes`, t.MinVersion)))
	}
	if t.ServerName != "" && net.ParseIP(t.ServerName) == nil && !isHostName(t.ServerName) {
		problems = append(problems, fxconfig.At("serverName", fmt.Errorf("%q is neither a host name nor an IP address", t.ServerName)))
	}
	if t.InsecureSkipVerify && (t.CA != "" || t.ServerName != "") {
		problems = append(problems, fxconfig.At("insecureSkipVerify", errors.New("accepts any certificate, so ca and serverName would mean nothing: remove one or the other")))
	}
	return errors.Join(problems...)
}

// oneLine is about a Config that was made in Go: its problems have no positions to begin lines of their own with.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.ReplaceAll(e.error.Error(), "\n", "; ") }
func (e oneLine) Unwrap() error { return e.error }
