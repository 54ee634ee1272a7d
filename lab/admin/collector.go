package admin

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/syslet/syslet/runtime"
)

// collector gives Prometheus every counter of runtime.Stats, by shard, and the
// block profile's sums, by shard and kind.
type collector struct {
	cfg              Config
	descs            map[string]*prometheus.Desc
	blocks, blockSec *prometheus.Desc
}

// gauges are the fields of runtime.Stats that may fall.
func isGauge(name string) bool {
	return name == "Conns" || strings.HasSuffix(name, "MaxNs") || strings.HasSuffix(name, "P50Ns") || strings.HasSuffix(name, "P99Ns")
}

func newCollector(cfg Config) *collector {
	c := &collector{cfg: cfg, descs: map[string]*prometheus.Desc{}}
	labels := prometheus.Labels{"model": cfg.Model, "workload": cfg.Workload}
	new(runtime.Stats).Each(func(name string, _ uint64) {
		metric := "syslet_" + snake(name)
		if !isGauge(name) {
			metric += "_total"
		}
		c.descs[name] = prometheus.NewDesc(metric, "runtime.Stats."+name, []string{"shard"}, labels)
	})
	c.blocks = prometheus.NewDesc("syslet_blocks_total", "Blocks of the heads (runtime.BlockReport)", []string{"shard", "kind"}, labels)
	c.blockSec = prometheus.NewDesc("syslet_block_seconds_total", "How long the heads were blocked", []string{"shard", "kind"}, labels)
	return c
}

// snake turns BytesIn into bytes_in and StallMaxNs into stall_max_ns.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
	ch <- c.blocks
	ch <- c.blockSec
}

func (c *collector) collectBlocks(ch chan<- prometheus.Metric) {
	for _, s := range c.cfg.Server.Blocks().Shards {
		for _, k := range s.Totals {
			shard, kind := strconv.Itoa(s.Shard), k.Kind.String()
			ch <- prometheus.MustNewConstMetric(c.blocks, prometheus.CounterValue, float64(k.Count), shard, kind)
			ch <- prometheus.MustNewConstMetric(c.blockSec, prometheus.CounterValue, float64(k.TotalNs)/1e9, shard, kind)
		}
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.collectBlocks(ch)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	per, err := c.cfg.Server.ShardStats(ctx)
	if err != nil {
		for _, d := range c.descs {
			ch <- prometheus.NewInvalidMetric(d, err)
		}
		return
	}
	for i := range per {
		per[i].Each(func(name string, value uint64) {
			kind := prometheus.CounterValue
			if isGauge(name) {
				kind = prometheus.GaugeValue
			}
			ch <- prometheus.MustNewConstMetric(c.descs[name], kind, float64(value), strconv.Itoa(i))
		})
	}
}
