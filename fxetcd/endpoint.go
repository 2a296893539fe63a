package fxetcd

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// EndpointSource is where the servers are that a client without endpoints of its own connects to. Provide one to Fx under this
// type; embedded.Module does. It is asked when the application starts, and is built before the clients and destroyed after them.
type EndpointSource interface {
	Endpoints() []string
}

// An endpoint taken apart. etcd's client accepts any text as an endpoint, and then waits for it for ever.
type endpoint struct {
	text    string // as etcd's client takes it: the scheme in lower case, and nothing behind the port
	scheme  string // "", "http", "https" or "unix"
	network string // "tcp" or "unix"
	address string // host:port, or a path
	host    string // that its certificate is for; of a socket, as in etcd's client, the name of the file
}

// parseEndpoint is for a text that has no credentials in it.
func parseEndpoint(text string) (endpoint, error) {
	e := endpoint{text: text, network: "tcp", address: text}
	if text == "" {
		return e, errors.New("an endpoint is empty")
	}
	fail := func(format string, args ...any) (endpoint, error) {
		return e, fmt.Errorf("endpoint %q: %s", text, fmt.Sprintf(format, args...))
	}
	scheme, rest, isURL := strings.Cut(text, "://")
	if scheme = strings.ToLower(scheme); strings.ContainsRune(text, ',') && scheme != "unix" {
		return fail("one endpoint per element, without commas")
	}
	if isURL {
		e.scheme, e.address = scheme, rest
		switch scheme {
		case "http", "https":
			u, err := url.Parse(text)
			if err != nil {
				return fail("malformed: %v", withoutText(err))
			}
			if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
				return fail("nothing may follow the port")
			}
			e.text, e.address = scheme+"://"+strings.TrimRight(rest, "/?#"), u.Host
		case "unix":
			if rest == "" {
				return fail("unix:// needs the path of a socket")
			}
			if _, err := url.Parse("unix:///" + rest); err != nil { // as gRPC will
				return fail("the path cannot be part of a URL: %v", withoutText(err))
			}
			e.text, e.network, e.host = "unix://"+rest, "unix", hostOf(path.Base(rest))
			return e, nil
		default:
			return fail("unknown scheme %q: host:port, http://, https:// or unix://", scheme)
		}
	}
	host, port, err := net.SplitHostPort(e.address)
	if err != nil {
		switch _, _, err := net.SplitHostPort(e.address + ":2379"); {
		case noHost(e.address):
			return fail("no host: write host:port, such as 127.0.0.1:2379")
		case err == nil && !strings.HasPrefix(e.address, ":"):
			return fail("no port: servers usually listen on %s:2379", e.address)
		}
		return fail("not host:port (an IPv6 address goes in brackets: [::1]:2379)")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		if !isURL && strings.EqualFold(host, "unix") {
			return fail("a socket is written unix:///path")
		}
		return fail("the port must be a number from 1 to 65535")
	}
	if host == "" {
		return fail("no host before the port")
	}
	address, zone, zoned := strings.Cut(host, "%")
	if zoned && e.scheme == "" {
		return fail("an address with a zone must be a URL: http://[%s%%25%s]:%s", address, strings.TrimPrefix(zone, "25"), port)
	}
	if net.ParseIP(address) == nil && !isHostName(host) {
		return fail("%q is neither a host name nor an IP address", host)
	}
	e.host = host
	return e, nil
}

// noHost is about an address without a colon: nothing, a port alone, or a switch in YAML.
func noHost(address string) bool {
	_, err := strconv.Atoi(address)
	return err == nil || address == "" || strings.EqualFold(address, "true") || strings.EqualFold(address, "false")
}

// refuseCredentials is about a user in front of a host, if only in a text that is no URL. It repeats nothing of a text that may be a
// password's, and nothing of its neighbours, which may be parts of one with commas: only a host and port that follow.
func refuseCredentials(texts []string) error {
	for _, text := range texts {
		at := strings.LastIndexByte(text, '@')
		if at < 0 || strings.HasPrefix(strings.ToLower(text), "unix://") {
			continue
		}
		where := ""
		if _, err := parseEndpoint(text[at+1:]); err == nil {
			where = " at " + text[at+1:]
		}
		return fmt.Errorf("an endpoint%s contains credentials: they belong in username and password", where)
	}
	return nil
}

// withoutText takes a URL's text out of the error about it, which has it from elsewhere.
func withoutText(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func isHostName(host string) bool {
	for _, r := range host {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_', r > 127:
		default:
			return false
		}
	}
	return len(host) <= 253 && !strings.Contains(host, "..") && host[0] != '.' && host[0] != '-'
}

// parseEndpoints tells of all that is wrong with a list.
func parseEndpoints(texts []string) ([]endpoint, error) {
	var problems []error
	var parsed []endpoint
	seen := map[string]bool{}
	if err := refuseCredentials(texts); err != nil {
		return nil, err
	}
	for _, text := range texts {
		e, err := parseEndpoint(text)
		where := e.network + e.address
		if e.network == "tcp" {
			where = strings.ToLower(where) // names of hosts have no case
		}
		switch {
		case err != nil:
			problems = append(problems, err)
			continue
		case seen[where]:
			problems = append(problems, fmt.Errorf("endpoint %q is given twice", text))
		case len(parsed) > 0 && parsed[0].scheme != e.scheme:
			problems = append(problems, fmt.Errorf("endpoints %q and %q differ in their scheme: the client would use the first one's for all", parsed[0].text, text))
		}
		seen[where] = true
		parsed = append(parsed, e)
	}
	return parsed, errors.Join(problems...)
}

func textsOf(parsed []endpoint) []string {
	all := make([]string, len(parsed))
	for n, e := range parsed {
		all[n] = e.text
	}
	return all
}

// endpointText is one text of YAML: an endpoint, or several with commas between.
type endpointText []string

func (t *endpointText) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), ",")
	for n, part := range parts {
		parts[n] = strings.TrimSpace(part)
	}
	*t = parts
	if err := refuseCredentials(parts); err != nil {
		return err
	}
	var problems []error
	for _, part := range parts {
		if _, err := parseEndpoint(part); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}
