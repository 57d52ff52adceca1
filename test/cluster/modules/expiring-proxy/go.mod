module clusterdns/test/cluster/expiring-proxy

go 1.26.0
