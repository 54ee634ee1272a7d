package yardstick

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/syslet/syslet/lab/trial"
)

// Files is the workload of file servers: they serve {dir}/www.
const Files = "fileserver"

// fileServers serve files over HTTP.
var fileServers = []Program{
	nginx("nginx", "nginx, one worker, sendfile", ""),
	nginx("nginx-cached", "nginx with open_file_cache", nginxCache),
	{Name: "net-http", What: "Go's net/http.FileServer", Workloads: []string{Files}, refused: goRefused, make: makeGoPeers,
		serve: func(path string, c Config) trial.Foreign {
			a := []string{path, "--engine", "net", "--workload", "files", "--root", "{dir}/www", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}
			if len(c.CPUs) > 0 {
				a = append(a, "--cpus", trial.CPUList(c.CPUs))
			}
			return trial.Foreign{Argv: a}
		}},
}

// As a manual of tuning would have it: one process, no access log, header and body
// in shared packets (tcp_nopush; without it nginx is a fifth slower at 1 KiB), no
// end to keep-alive. The cache looks at a file again after a second, as ours does.
const (
	nginxConf = `daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log warn;
events { worker_connections 16384; multi_accept on; use epoll; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	tcp_nodelay on;
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	types { text/plain txt; }
	client_body_temp_path {dir}/nginx-body;
	proxy_temp_path {dir}/nginx-proxy;
	fastcgi_temp_path {dir}/nginx-fastcgi;
	uwsgi_temp_path {dir}/nginx-uwsgi;
	scgi_temp_path {dir}/nginx-scgi;
%s	server { listen {addr} backlog=4096; root {dir}/www; }
}
`
	nginxCache = `	open_file_cache max=1000 inactive=60s;
	open_file_cache_valid 1s;
	open_file_cache_min_uses 1;
`
)

func nginx(name, what, more string) Program {
	return Program{
		Name: name, What: what, Workloads: []string{Files},
		refused: func() error { _, err := nginxPath(); return err },
		make:    func(context.Context) (string, error) { return nginxPath() },
		serve: func(path string, _ Config) trial.Foreign {
			return trial.Foreign{Argv: []string{path, "-p", "{dir}", "-c", "{dir}/nginx.conf", "-e", "{dir}/nginx.log"},
				Files: map[string]string{"nginx.conf": fmt.Sprintf(nginxConf, more)}, Silent: true, NoCounters: noCounters}
		},
	}
}

// nginxPath finds nginx also where an ordinary user's PATH does not lead.
func nginxPath() (string, error) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no nginx in PATH or /usr/sbin (apt-get install nginx-light)")
}
