package load

import "github.com/syslet/syslet/lab/result"

// Metrics are the report's figures under the names of package result. Operations,
// by which sensors of the server divide, are the answers received in the window.
func (r *Report) Metrics() map[string]result.Metric {
	m := map[string]result.Metric{
		result.Operations:  result.Of(float64(r.Counts.AnsweredInWindow), "1", result.SourceLoad),
		result.Errors:      result.Of(float64(r.Counts.Errors()), "1", result.SourceLoad),
		result.Disconnects: result.Of(float64(r.Counts.Disconnects), "1", result.SourceLoad),
		// Not CPU time: the loop spins, so that says nothing.
		result.CPULoadPerOp: result.PerOp(1e6*r.Self.Busy*r.DurationS, float64(r.Counts.AnsweredInWindow), "us", "load (busy time of its loop)"),
	}
	if r.Mode == Closed {
		m[result.SaturationThroughput] = r.rate(r.Throughput)
	} else {
		m[result.Throughput] = r.rate(r.Throughput)
		m[result.Offered] = r.rate(r.Offered)
		m[result.LateSends] = result.Of(float64(r.Self.LateSends), "1", result.SourceLoad)
	}
	if r.Counts.Delivered > 0 {
		m[result.Deliveries] = r.rate(r.Deliveries)
	}
	latency, service := &r.All.Latency, &r.All.Service
	for _, f := range []struct {
		name string
		of   *Summary
		us   float64
	}{
		{result.LatencyP50, latency, latency.P50Us}, {result.LatencyP90, latency, latency.P90Us},
		{result.LatencyP99, latency, latency.P99Us}, {result.LatencyP999, latency, latency.P999Us},
		{result.LatencyMax, latency, latency.MaxUs}, {result.LatencyMean, latency, latency.MeanUs},
		{result.ServiceP50, service, service.P50Us}, {result.ServiceP99, service, service.P99Us},
		{result.SendLagP99, &r.All.SendLag, r.All.SendLag.P99Us},
	} {
		m[f.name] = f.of.metric(f.us)
	}
	return m
}

func (r *Report) rate(perS float64) result.Metric {
	if r.DurationS <= 0 {
		return result.Missing("the run ended before its window began", "1/s", result.SourceLoad)
	}
	return result.Of(perS, "1/s", result.SourceLoad)
}

// metric is a figure of the summary, or the reason why there is none.
func (s *Summary) metric(us float64) result.Metric {
	if s.Count == 0 {
		return result.Missing("no request in the window", "us", result.SourceLoad)
	}
	return result.Of(us, "us", result.SourceLoad)
}

// Kind is the report of a kind of request by its name.
func (r *Report) Kind(name string) (KindReport, bool) {
	for _, k := range r.Kinds {
		if k.Name == name {
			return k, true
		}
	}
	return KindReport{}, false
}

// Distributions are the curves of result.Trial: "latency", "service", and
// "latency:KIND" for each kind that was asked for.
func (r *Report) Distributions() map[string][]result.Point {
	curves := map[string][]result.Point{}
	add := func(name string, s *Summary) {
		if s.Count > 0 {
			curves[name] = s.Curve
		}
	}
	add("latency", &r.All.Latency)
	add("service", &r.All.Service)
	for i := range r.Kinds {
		add("latency:"+r.Kinds[i].Name, &r.Kinds[i].Latency)
	}
	return curves
}
