// Package load is a load generator: it drives a server with scripted clients
// (package workloads/script) and says how long the answers took and how far its
// own figures can be trusted.
//
// It shares nothing with the runtime that it measures: locked OS threads, each with
// its own epoll loop over raw nonblocking sockets (loop), pace, send and receive, so
// that a slow server cannot slow its own load down. Each has its share of connections
// and rate and its own histograms, which are merged at the end; the first of them
// decides when phases begin (schedule).
//
// # Open loop
//
// Requests arrive as a seeded Poisson process over the whole population: gaps
// are exponential with mean 1/Rate, and each arrival picks one of the living
// connections with equal chance. (Shape has others: even distances, bursts, a ramp.) An
// arrival has an intended send time, and
// latency counts from there, whenever the bytes could really be sent (the remedy
// for coordinated omission: Gil Tene, "How NOT to Measure Latency"; wrk2).
// Apart from it stand
//
//   - service time: from the moment the request was first handed to the kernel;
//   - send lag: from the intended to the actual send, whoever was the cause;
//   - pacing: from the intended time to the moment the loop got round to the
//     arrival. This is the generator's own fault alone.
//
// A client may have script.Load.Window requests unanswered. An arrival beyond
// that is held back and sent as soon as a tag is free; its latency goes on
// counting, and the report counts it.
//
// # Closed loop
//
// Each connection keeps Outstanding requests unanswered and sends the next when
// an answer comes. This finds the throughput at saturation. Its latencies hide
// every stall of the server and are reported for what they are.
//
// # What has no answer
//
// Nothing is dropped. A request of the measured window without an answer at the
// end of the drain, or whose connection broke, or that could not even be sent,
// enters the histograms with the time that it had waited at least: from its
// intended (service: actual) send to the end of the drain. Hence a server gains
// nothing by closing connections. Report.Counts holds these apart.
//
// # Shapes
//
// Shape adds what real populations do: reconnects, a storm of connects, slow readers
// (whose requests are counted apart: their waits are their own fault), timeouts, which
// are counted and waited for all the same.
//
// # Phases
//
// connect, warmup, probe and read (if asked for), measure, tail (if asked for), drain,
// done. The warm-up lasts a fixed time, or until the answers are steady by test
// (steady). A request belongs to the window if its intended send time lies in it.
// Throughput counts the answers received in the window, whenever they were asked for;
// with those of the phase read, in which the server's sensors are read for the first
// time, that is the work which they have seen.
//
// Report.Series has the window in slices, and Report.MeanInFlight the requests without
// answer by the clock, so that Little's law can be put to the test.
//
// # What the load itself can do
//
// Calibrate measures it against a peer that gives recorded answers and does next to
// nothing; Report.Suspicions names a run in which the load was late, busy or near that.
// SearchSLO looks for the highest rate that keeps a bound on latency, and says whether
// the server or the load was the limit. Package agree holds the load against clients
// that are not ours.
package load
