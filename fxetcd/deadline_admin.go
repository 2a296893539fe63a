package fxetcd

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

type limitedCluster struct {
	pb.ClusterClient
	limits limits
}

func (c *limitedCluster) MemberAdd(ctx context.Context, in *pb.MemberAddRequest, opts ...grpc.CallOption) (*pb.MemberAddResponse, error) {
	return call(c.limits, ctx, in, opts, c.ClusterClient.MemberAdd)
}

func (c *limitedCluster) MemberRemove(ctx context.Context, in *pb.MemberRemoveRequest, opts ...grpc.CallOption) (*pb.MemberRemoveResponse, error) {
	return call(c.limits, ctx, in, opts, c.ClusterClient.MemberRemove)
}

func (c *limitedCluster) MemberUpdate(ctx context.Context, in *pb.MemberUpdateRequest, opts ...grpc.CallOption) (*pb.MemberUpdateResponse, error) {
	return call(c.limits, ctx, in, opts, c.ClusterClient.MemberUpdate)
}

func (c *limitedCluster) MemberList(ctx context.Context, in *pb.MemberListRequest, opts ...grpc.CallOption) (*pb.MemberListResponse, error) {
	return call(c.limits, ctx, in, opts, c.ClusterClient.MemberList)
}

func (c *limitedCluster) MemberPromote(ctx context.Context, in *pb.MemberPromoteRequest, opts ...grpc.CallOption) (*pb.MemberPromoteResponse, error) {
	return call(c.limits, ctx, in, opts, c.ClusterClient.MemberPromote)
}

type limitedAuth struct {
	pb.AuthClient
	limits limits
}

func (a *limitedAuth) AuthEnable(ctx context.Context, in *pb.AuthEnableRequest, opts ...grpc.CallOption) (*pb.AuthEnableResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.AuthEnable)
}

func (a *limitedAuth) AuthDisable(ctx context.Context, in *pb.AuthDisableRequest, opts ...grpc.CallOption) (*pb.AuthDisableResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.AuthDisable)
}

func (a *limitedAuth) AuthStatus(ctx context.Context, in *pb.AuthStatusRequest, opts ...grpc.CallOption) (*pb.AuthStatusResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.AuthStatus)
}

// Authenticate is also how etcd's client logs in before it opens a stream, with the stream's context.
func (a *limitedAuth) Authenticate(ctx context.Context, in *pb.AuthenticateRequest, opts ...grpc.CallOption) (*pb.AuthenticateResponse, error) {
	if ctx.Value(lasts{}) != nil {
		return a.AuthClient.Authenticate(ctx, in, opts...)
	}
	return call(a.limits, ctx, in, opts, a.AuthClient.Authenticate)
}

func (a *limitedAuth) UserAdd(ctx context.Context, in *pb.AuthUserAddRequest, opts ...grpc.CallOption) (*pb.AuthUserAddResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.UserAdd)
}

func (a *limitedAuth) UserGet(ctx context.Context, in *pb.AuthUserGetRequest, opts ...grpc.CallOption) (*pb.AuthUserGetResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.UserGet)
}

func (a *limitedAuth) UserList(ctx context.Context, in *pb.AuthUserListRequest, opts ...grpc.CallOption) (*pb.AuthUserListResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.UserList)
}

func (a *limitedAuth) UserDelete(ctx context.Context, in *pb.AuthUserDeleteRequest, opts ...grpc.CallOption) (*pb.AuthUserDeleteResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.UserDelete)
}

func (a *limitedAuth) UserChangePassword(ctx context.Context, in *pb.AuthUserChangePasswordRequest, opts ...grpc.CallOption) (*pb.AuthUserChangePasswordResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.UserChangePassword)
}

func (a *limitedAuth) UserGrantRole(ctx context.Context, in *pb.AuthUserGrantRoleRequest, opts ...grpc.CallOption) (*pb.AuthUserGrantRoleResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.UserGrantRole)
}

func (a *limitedAuth) UserRevokeRole(ctx context.Context, in *pb.AuthUserRevokeRoleRequest, opts ...grpc.CallOption) (*pb.AuthUserRevokeRoleResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.UserRevokeRole)
}

func (a *limitedAuth) RoleAdd(ctx context.Context, in *pb.AuthRoleAddRequest, opts ...grpc.CallOption) (*pb.AuthRoleAddResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.RoleAdd)
}

func (a *limitedAuth) RoleGet(ctx context.Context, in *pb.AuthRoleGetRequest, opts ...grpc.CallOption) (*pb.AuthRoleGetResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.RoleGet)
}

func (a *limitedAuth) RoleList(ctx context.Context, in *pb.AuthRoleListRequest, opts ...grpc.CallOption) (*pb.AuthRoleListResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.RoleList)
}

func (a *limitedAuth) RoleDelete(ctx context.Context, in *pb.AuthRoleDeleteRequest, opts ...grpc.CallOption) (*pb.AuthRoleDeleteResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.RoleDelete)
}

func (a *limitedAuth) RoleGrantPermission(ctx context.Context, in *pb.AuthRoleGrantPermissionRequest, opts ...grpc.CallOption) (*pb.AuthRoleGrantPermissionResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.RoleGrantPermission)
}

func (a *limitedAuth) RoleRevokePermission(ctx context.Context, in *pb.AuthRoleRevokePermissionRequest, opts ...grpc.CallOption) (*pb.AuthRoleRevokePermissionResponse, error) {
	return call(a.limits, ctx, in, opts, a.AuthClient.RoleRevokePermission)
}

// limitedMaintenance leaves out the Snapshots, which take as long as they take.
type limitedMaintenance struct {
	clientv3.Maintenance
	limits limits
	open   context.Context // ends when the client is closed
}

func (m *limitedMaintenance) AlarmList(ctx context.Context) (*clientv3.AlarmResponse, error) {
	return whileOpen(m.open, ctx, m.limits, m.Maintenance.AlarmList)
}

func (m *limitedMaintenance) AlarmDisarm(ctx context.Context, member *clientv3.AlarmMember) (*clientv3.AlarmResponse, error) {
	return whileOpen(m.open, ctx, m.limits, func(ctx context.Context) (*clientv3.AlarmResponse, error) {
		return m.Maintenance.AlarmDisarm(ctx, member)
	})
}

// Defragment takes as long as it takes, too.
func (m *limitedMaintenance) Defragment(ctx context.Context, endpoint string) (*clientv3.DefragmentResponse, error) {
	return whileOpen(m.open, ctx, limits{}, func(ctx context.Context) (*clientv3.DefragmentResponse, error) {
		return m.Maintenance.Defragment(ctx, endpoint)
	})
}

func (m *limitedMaintenance) Status(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	return whileOpen(m.open, ctx, m.limits, func(ctx context.Context) (*clientv3.StatusResponse, error) {
		return m.Maintenance.Status(ctx, endpoint)
	})
}

func (m *limitedMaintenance) HashKV(ctx context.Context, endpoint string, rev int64) (*clientv3.HashKVResponse, error) {
	return whileOpen(m.open, ctx, m.limits, func(ctx context.Context) (*clientv3.HashKVResponse, error) {
		return m.Maintenance.HashKV(ctx, endpoint, rev)
	})
}

func (m *limitedMaintenance) MoveLeader(ctx context.Context, to uint64) (*clientv3.MoveLeaderResponse, error) {
	return whileOpen(m.open, ctx, m.limits, func(ctx context.Context) (*clientv3.MoveLeaderResponse, error) {
		return m.Maintenance.MoveLeader(ctx, to)
	})
}

func (m *limitedMaintenance) Downgrade(ctx context.Context, action clientv3.DowngradeAction, version string) (*clientv3.DowngradeResponse, error) {
	return whileOpen(m.open, ctx, m.limits, func(ctx context.Context) (*clientv3.DowngradeResponse, error) {
		return m.Maintenance.Downgrade(ctx, action, version)
	})
}
