// The faults of E12, and the tests that assert what comes of each. Those of this package are about the client, and what services build on it: what
// callers and checks are told, that everything recovers by itself, a registration, a lead and a mirror included, and that nothing is left
// behind. What those three promise beyond that is tested where they are made.
//
//	kill -9
//		fxetcd     TestE12_a_killed_server_is_missed_by_name_and_found_again
//		fxetcd     TestE12_with_a_username_a_watch_outlives_an_absence_longer_than_the_request_timeout
//		etcdtest   TestE7_a_killed_process_loses_no_acknowledged_write
//		watch      TestE11_a_watch_does_not_notice_a_reconnection_or_a_restart
//		registry   TestE8_registrations_are_back_within_two_seconds
//		registry   TestE9_while_etcd_is_away_the_last_known_instances_are_used
//		exclusive  TestE10_terms_never_overlap
//	SIGSTOP
//		fxetcd     TestE12_a_paused_server_is_silence_that_ends_at_the_request_timeout
//		watch      TestE11_a_mirror_tells_how_long_ago_it_last_heard_from_the_server
//		registry   TestE8_an_application_starts_though_etcd_is_silent_and_registers_later
//		exclusive  TestE10_a_paused_process_knows_at_once
//		exclusive  TestE10_a_context_ends_in_time_though_the_server_is_silent
//	blackhole
//		fxetcd     TestE12_a_black_hole_is_found_by_keepalives_and_got_round
//		fxetcd     TestE12_a_black_hole_on_the_only_way_is_waited_for
//		fxetcd     TestE3_startup_says_in_plain_words_why_no_server_answers
//		watch      TestE11_compaction_while_away_is_made_up_for_by_one_change_set
//		registry   TestE8_a_partition_longer_than_the_TTL
//		exclusive  TestE10_a_lost_lock_ends_its_context
//		exclusive  TestE10_what_is_released_during_an_outage_is_free_after_it
//	reset
//		fxetcd     TestE12_resets_cost_no_read_and_write_nothing_twice
//		watch      TestE11_a_watch_does_not_notice_a_reconnection_or_a_restart
//	peer partition
//		fxetcd     TestE12_a_client_of_a_cluster_outlives_each_of_its_losses
//		fxetcd     TestE1_requireLeader_has_a_member_without_a_leader_refuse
//		fxetcd     TestE5_a_check_fails_at_a_member_without_a_leader
//		watch      TestE11_a_watch_survives_the_loss_of_quorum
//	leader change
//		fxetcd     TestE12_a_client_of_a_cluster_outlives_each_of_its_losses
//		registry   TestE8_a_change_of_leader_is_not_noticed
//	quorum loss
//		fxetcd     TestE12_a_client_of_a_cluster_outlives_each_of_its_losses
//		etcdtest   TestE12_a_cluster_without_a_quorum_comes_back
//		watch      TestE11_a_watch_survives_the_loss_of_quorum
//		exclusive  TestE10_an_outage_costs_nobody_its_place
//	compaction
//		fxetcd     TestE12_a_watch_is_told_what_compaction_has_taken_from_it
//		watch      TestE11_compaction_while_away_is_made_up_for_by_one_change_set
//		registry   TestE8_registrations_are_back_within_two_seconds
//		registry   TestE9_a_grpc_connection_balances_over_the_instances_and_follows_them
//	wiped data
//		fxetcd     TestE12_a_wiped_server_is_an_empty_one_that_has_lost_the_lease
//		watch      TestE11_a_wiped_server_is_noticed_though_it_looks_the_same
//		registry   TestE8_registrations_are_back_within_two_seconds
//		exclusive  TestE10_a_wiped_server_ends_the_term_as_soon_as_it_is_back
//	space quota exceeded
//		fxetcd     TestE12_a_full_server_refuses_writes_alone_until_there_is_room
//	slow link
//		fxetcd     TestE12_a_slow_link_makes_calls_late_and_loses_none
//		watch      TestE11_pages_are_as_small_as_a_slow_link_needs_them
//		exclusive  TestE10_on_a_slow_link_a_context_ends_before_anybody_else_has_its_turn
//	expired, wrong and rotated certificates
//		fxetcd     TestE12_a_running_client_names_a_bad_certificate_and_takes_a_good_one
//		fxetcd     TestE12_a_client_gets_over_a_new_certificate_a_new_authority_and_an_expired_one
//		fxetcd     TestE3_startup_says_in_plain_words_why_no_server_answers
//	revoked role
//		fxetcd     TestE12_a_revoked_role_refuses_calls_until_it_is_granted_again
//		watch      TestE11_a_watch_that_is_refused_says_so_once_and_goes_on_when_it_may
//	changed password
//		fxetcd     TestE12_a_changed_password_is_named_and_needs_no_restart_once_it_is_right
//	expired token
//		fxetcd     TestE12_an_expired_token_is_renewed_where_there_is_a_password
//		watch      TestE11_watches_survive_the_expiry_of_their_token
//	several, in any order
//		fxetcd     TestE12_a_storm_of_faults_passes
//		watch      TestE11_over_a_random_history_with_faults_no_event_is_missed_and_none_comes_twice
//		exclusive  TestE10_terms_never_overlap
//
// The storm lasts ten times as long in the long suite: FXKIT_LONG=1 go test ./fxetcd/...

package fxetcd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fxkit/fxkit/fxetcd"
)

// service is an application with one client, and with what hangs on one: a lease that is kept alive, a watch, and its dependents.
type service struct {
	dependents
	factory *fxetcd.Factory
	client  *clientv3.Client
	session *concurrency.Session
	ctx     context.Context // the watch's: it lasts for the whole test
	events  clientv3.WatchChan
	last    int64 // the revision of the last event
	token   int   // of the last write of hears
}

// ttl is that of the service's lease: longer than any fault here lasts.
const ttl = 60 * time.Second

// long is how many times longer the storm lasts in the long suite.
func long() int {
	if os.Getenv("FXKIT_LONG") != "" {
		return 10
	}
	return 1
}

// serve runs an application whose client has these keys until the test ends. Then no lease of its may be left on the server;
// that no goroutine is, TestMain sees to.
func serve(t *testing.T, admin *clientv3.Client, keys string, args ...any) *service {
	t.Helper()
	s := &service{ctx: t.Context()}
	t.Cleanup(func() {
		require.Eventually(t, func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), plenty)
			defer cancel()
			leases, err := admin.Leases(ctx)
			return err == nil && len(leases.Leases) == 0
		}, plenty, 10*time.Millisecond, "no lease is left behind, if only until it expires")
	})
	start(t, fxetcd.Module, s.module(), fx.Supply(zap.NewNop()), fx.Populate(&s.factory),
		yaml(fmt.Sprintf("etcd: {default: {dialTimeout: 15s}, client: {"+keys+"}, "+sections+"}", args...)))
	var err error
	s.client, err = s.factory.Get("default")
	require.NoError(t, err)
	s.session, err = concurrency.NewSession(s.client, concurrency.WithTTL(int(ttl/time.Second)))
	require.NoError(t, err)
	held, err := s.client.Put(within(t, plenty), "app/held", "", clientv3.WithLease(s.session.Lease()))
	require.NoError(t, err)
	s.last = held.Header.Revision
	s.watch()
	s.dependents.start(t, s.client, admin)
	return s
}

func (s *service) watch() {
	s.events = s.client.Watch(s.ctx, "app/", clientv3.WithPrefix(), clientv3.WithRev(s.last+1))
}

// kept is another lease that the server has been heard to keep. Until then etcd's client waits longer than the lease lasts.
func (s *service) kept(t *testing.T, seconds int) *concurrency.Session {
	t.Helper()
	session, err := concurrency.NewSession(s.client, concurrency.WithTTL(seconds))
	require.NoError(t, err)
	alive, err := s.client.KeepAlive(s.ctx, session.Lease())
	require.NoError(t, err)
	select {
	case r := <-alive:
		require.NotNil(t, r)
	case <-within(t, plenty).Done():
		require.Fail(t, "the lease is not kept")
	}
	return session
}

// check is what the factory says of the client.
func (s *service) check(t *testing.T, timeout time.Duration) error {
	t.Helper()
	return s.factory.Check(within(t, timeout))[0].Err
}

// recovers waits until the client is healthy and writes again, without anybody's help, and asserts that nothing was lost that hung on it.
func (s *service) recovers(t *testing.T) {
	t.Helper()
	var last error
	if !assert.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if last = s.factory.Check(ctx)[0].Err; last != nil {
			return false
		}
		_, last = s.client.Put(ctx, "app/recovered", "")
		return last == nil
	}, ttl, 10*time.Millisecond) {
		require.NoError(t, last)
	}
	s.keepsLease(t)
	s.hears(t)
	s.recover(t)
}

func (s *service) keepsLease(t *testing.T) {
	t.Helper()
	select {
	case <-s.session.Done():
		require.Fail(t, "the lease is given up")
	default:
	}
	held, err := s.admin.Get(within(t, plenty), "app/held")
	require.NoError(t, err)
	require.Len(t, held.Kvs, 1, "the lease has expired")
	require.EqualValues(t, s.session.Lease(), held.Kvs[0].Lease)
}

// hears reads the watch up to a new write by somebody else: it goes on, in order and with no event twice. With the leader a watch may
// end, as a caller is told, who then goes on where it was.
func (s *service) hears(t *testing.T) []*clientv3.Event {
	t.Helper()
	s.token++
	want := fmt.Sprint(s.token)
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := s.admin.Put(ctx, "app/token", want)
		return err == nil
	}, ttl, 10*time.Millisecond)
	var heard []*clientv3.Event
	for ctx := within(t, ttl); ; {
		select {
		case r, open := <-s.events:
			if errors.Is(r.Err(), rpctypes.ErrNoLeader) {
				s.watch()
				continue
			}
			require.NoError(t, r.Err())
			require.True(t, open, "the watch goes on")
			for _, e := range r.Events {
				require.Greater(t, e.Kv.ModRevision, s.last, "no event comes twice")
				s.last = e.Kv.ModRevision
				heard = append(heard, e)
				if string(e.Kv.Key) == "app/token" && string(e.Kv.Value) == want {
					return heard
				}
			}
		case <-ctx.Done():
			require.Fail(t, "the watch is silent")
		}
	}
}

// write is what became of one Put of a key that is written once.
type write struct {
	key string
	err error
}

// outcome asserts what callers may rely on: an error says either that the call did not get through in time, or that a connection broke
// while it was under way; what was acknowledged is there, and nothing was written twice.
func (s *service) outcome(t *testing.T, writes []write) {
	t.Helper()
	got, err := s.admin.Get(within(t, plenty), "app/once/", clientv3.WithPrefix())
	require.NoError(t, err)
	found := map[string]bool{}
	for _, kv := range got.Kvs {
		found[string(kv.Key)] = true
		assert.EqualValues(t, 1, kv.Version, "%s was written more than once", kv.Key)
	}
	for _, w := range writes {
		switch {
		case w.err == nil:
			assert.True(t, found[w.key], "%s was acknowledged, and is lost", w.key)
		case !errors.Is(w.err, context.DeadlineExceeded):
			assert.Contains(t, []codes.Code{codes.Unavailable, codes.Unknown}, status.Code(w.err), "%s: %v", w.key, w.err)
		}
	}
}

// once writes a key of its own.
func (s *service) once(ctx context.Context, key string) write {
	key = "app/once/" + key
	_, err := s.client.Put(ctx, key, "")
	return write{key, err}
}
