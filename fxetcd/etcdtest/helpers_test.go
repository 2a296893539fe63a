package etcdtest_test

import clientv3 "go.etcd.io/etcd/client/v3"

func rangeOf(prefix string) []clientv3.OpOption {
	return []clientv3.OpOption{clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithKeysOnly()}
}
