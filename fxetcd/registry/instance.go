package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Instance is one process of a service, as others see it.
type Instance struct {
	Service  string            // without a slash
	ID       string            // without a slash; Register takes the address if it is empty
	Address  string            // host:port or unix:path
	Metadata map[string]string // for reading only, where Registry returned it
	TTL      time.Duration     // for Register: how long it stays after a crash; 0 is the configured one. Registry does not know it of others
}

// value is what etcd's own naming/endpoints keeps for an endpoint.
type value struct {
	Op       int
	Addr     string
	Metadata any
}

// complete is the instance with its defaults, if it can be registered.
func (in Instance) complete(ttl time.Duration) (Instance, error) {
	problems := []error{checkName("service", in.Service), checkAddress(in.Address), checkMetadata(in.Metadata)}
	if in.ID == "" {
		in.ID = url.PathEscape(in.Address)
	} else {
		problems = append(problems, checkName("id", in.ID))
	}
	if in.TTL == 0 {
		in.TTL = ttl
	} else if err := checkTTL(in.TTL); err != nil {
		problems = append(problems, fmt.Errorf("ttl %w", err))
	}
	in.Metadata = maps.Clone(in.Metadata)
	return in, errors.Join(problems...)
}

// A slash is what keeps one service's keys apart from another's.
func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the %s is empty", what)
	case strings.Contains(name, "/"):
		return fmt.Errorf("%s %q has a slash, which separates services and instances in etcd", what, name)
	}
	return nil
}

func checkAddress(address string) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok && path != "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	switch {
	case err != nil:
		return fmt.Errorf("address %q: want host:port or unix:path", address)
	case host == "" || !isPort(port):
		return fmt.Errorf("address %q cannot be connected to: want the host and the port that others can reach, as in 10.0.0.7:8080", address)
	}
	return nil
}

// isPort tells whether one can connect to a port: a number, or a name such as https.
func isPort(port string) bool {
	n, err := strconv.ParseInt(port, 10, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return port != ""
	}
	return err == nil && n > 0 && n <= math.MaxUint16
}

// What is no UTF-8 would come out of JSON as something else.
func checkMetadata(metadata map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if !utf8.ValidString(key) || !utf8.ValidString(metadata[key]) {
			return fmt.Errorf("metadata %q: %q is not UTF-8", key, metadata[key])
		}
	}
	return nil
}

// same tells whether two are alike to those who look for instances.
func (in Instance) same(other Instance) bool {
	return in.ID == other.ID && in.Address == other.Address && maps.Equal(in.Metadata, other.Metadata)
}

func (in Instance) key(namespace string) string { return servicePrefix(namespace, in.Service) + in.ID }

// servicePrefix begins the keys of exactly one service's instances.
func servicePrefix(namespace, service string) string { return namespace + "/" + service + "/" }

func (in Instance) encode() (string, error) {
	v := value{Addr: in.Address}
	if len(in.Metadata) > 0 {
		v.Metadata = in.Metadata
	}
	encoded, err := json.Marshal(v)
	return string(encoded), err
}

// decode reads what Register wrote, or anybody else through naming/endpoints, whose metadata may be any JSON: what is no
// text in an object is kept as JSON text, and what is no object is left out.
func decode(service, id string, data []byte) (Instance, error) {
	var v struct {
		Addr     string
		Metadata json.RawMessage
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return Instance{}, err
	}
	if v.Addr == "" {
		return Instance{}, errors.New(`there is no "Addr"`)
	}
	in := Instance{Service: service, ID: id, Address: v.Addr}
	var metadata map[string]json.RawMessage
	if json.Unmarshal(v.Metadata, &metadata) == nil && len(metadata) > 0 {
		in.Metadata = make(map[string]string, len(metadata))
		for key, raw := range metadata {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			in.Metadata[key] = text
		}
	}
	return in, nil
}
