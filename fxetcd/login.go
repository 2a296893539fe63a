package fxetcd

import (
	"context"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// logins are those that are under way, of a factory's clients. A login costs the server a hash that is made to take long, a twentieth of a second
// of computing. Clients that log in at the same time as the same user share one: a hundred logins at once would all come too late.
type logins struct {
	running sync.Map // of identity to *login
}

// identity is who logs in where, and how sure it is of the server. A token is good for every connection of that user.
type identity struct {
	endpoints, user, password string
	tls                       TLS
}

type login struct {
	done chan struct{} // closed when it has ended
	out  *pb.AuthenticateResponse
	err  error
}

// loginPatience is how long a client waits for another's login, whose connection may have broken, before it makes its own.
const loginPatience = 2 * time.Second

// sharedAuth is one client's part in them.
type sharedAuth struct {
	pb.AuthClient
	logins    *logins
	endpoints string
	tls       TLS
	open      context.Context // ends when the client is closed
}

func (a *sharedAuth) Authenticate(ctx context.Context, in *pb.AuthenticateRequest, opts ...grpc.CallOption) (*pb.AuthenticateResponse, error) {
	if ctx.Value(lasts{}) != nil { // a stream's waits as long as the server is away, for which others have no time
		return a.login(ctx, in, opts...)
	}
	who := identity{a.endpoints, in.Name, in.Password, a.tls}
	patience := time.NewTimer(loginPatience)
	defer patience.Stop()
	for {
		mine := &login{done: make(chan struct{})}
		found, others := a.logins.running.LoadOrStore(who, mine)
		if !others {
			mine.out, mine.err = a.login(ctx, in, opts...)
			a.logins.running.Delete(who)
			close(mine.done)
			return mine.out, mine.err
		}
		running := found.(*login)
		select {
		case <-running.done:
			switch status.Code(running.err) {
			case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled: // no answer, for reasons of its own
			default:
				return running.out, running.err
			}
		case <-patience.C:
			return a.login(ctx, in, opts...)
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		case <-a.open.Done():
			return nil, errClosed(status.FromContextError(a.open.Err()).Err())
		}
	}
}

// login discloses how it ended at once: others look at that, and so does etcd's client before it opens a stream.
func (a *sharedAuth) login(ctx context.Context, in *pb.AuthenticateRequest, opts ...grpc.CallOption) (*pb.AuthenticateResponse, error) {
	out, err := a.AuthClient.Authenticate(ctx, in, opts...)
	return out, disclose(err)
}
