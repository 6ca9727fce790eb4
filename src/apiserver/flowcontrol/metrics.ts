/** The figures of priority and fairness under upstream's names: k8s.io/apiserver pkg/util/flowcontrol/metrics. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Allocation } from './borrowing.ts';
import type { PriorityLevel, Refusal, Ticket } from './level.ts';

export interface FlowFigures {
  readonly dispatched: (level: string, ticket: Ticket) => void;
  readonly rejected: (level: string, ticket: Ticket, why: Refusal) => void;
  readonly waited: (level: string, ticket: Ticket, seconds: number, executed: boolean) => void;
  readonly executed: (level: string, ticket: Ticket, seconds: number, type: string) => void;
  readonly allocated: (names: readonly string[], allocation: Allocation) => void;
  readonly register: (registry: Registry) => void;
}

const perFlow = ['flow_schema', 'priority_level'];
const waitBuckets = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];
const runBuckets = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];

const name = (end: string): string => `apiserver_flowcontrol_${end}`;
const finite = (n: number): number => (Number.isFinite(n) ? n : 0);

type Levels = () => ReadonlyMap<string, { readonly level: PriorityLevel }>;

/** Gauges that read a level when they are asked. */
function levelGauges(levels: Levels): readonly Gauge[] {
  const gauge = (end: string, help: string, read: (level: PriorityLevel) => number): Gauge =>
    new Gauge({
      name: name(end),
      help,
      labelNames: ['priority_level'],
      registers: [],
      collect() {
        this.reset();
        for (const [level, l] of levels()) this.set({ priority_level: level }, finite(read(l.level)));
      },
    });
  const by = ', by priority level';
  return [
    gauge('current_executing_requests', `Number of requests being executed${by}`, (l) => l.figures().executing),
    gauge(
      'current_executing_seats',
      `Concurrency (number of seats) occupied by the currently executing requests${by}`,
      (l) => l.figures().executingSeats,
    ),
    gauge('current_inqueue_requests', `Number of requests waiting in queues${by}`, (l) => l.figures().waiting),
    gauge('current_inqueue_seats', `Number of seats currently pending in queues${by}`, (l) => l.figures().waitingSeats),
    gauge('nominal_limit_seats', `Nominal number of execution seats${by}`, (l) => l.settings.seats),
    gauge('lower_limit_seats', `Configured lower bound on number of execution seats available${by}`, (l) => l.settings.lower),
    gauge('upper_limit_seats', `Configured upper bound on number of execution seats available${by}`, (l) => l.settings.upper),
    gauge('current_limit_seats', `Current derived number of execution seats available${by}`, (l) => l.limit),
    gauge('demand_seats_high_watermark', `High watermark, over last adjustment period, of demand_seats${by}`, (l) => l.demand.last().high),
    gauge(
      'demand_seats_average',
      `Time-weighted average, over last adjustment period, of demand_seats${by}`,
      (l) => l.demand.last().average,
    ),
    gauge(
      'demand_seats_stdev',
      `Time-weighted standard deviation, over last adjustment period, of demand_seats${by}`,
      (l) => l.demand.last().deviation,
    ),
    gauge('demand_seats_smoothed', `Smoothed seat demands${by}`, (l) => l.demand.last().smoothed),
  ];
}

export function createFlowFigures(levels: Levels): FlowFigures {
  const registers: Registry[] = [];
  const dispatched = new Counter({
    name: name('dispatched_requests_total'),
    help: 'Number of requests executed by API Priority and Fairness subsystem',
    labelNames: perFlow,
    registers,
  });
  const rejected = new Counter({
    name: name('rejected_requests_total'),
    help: 'Number of requests rejected by API Priority and Fairness subsystem',
    labelNames: [...perFlow, 'reason'],
    registers,
  });
  const waited = new Histogram({
    name: name('request_wait_duration_seconds'),
    help: 'Length of time a request spent waiting in its queue',
    labelNames: [...perFlow, 'execute'],
    buckets: waitBuckets,
    registers,
  });
  const executed = new Histogram({
    name: name('request_execution_seconds'),
    help: 'Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution',
    labelNames: [...perFlow, 'type'],
    buckets: runBuckets,
    registers,
  });
  const seats = new Histogram({
    name: name('work_estimated_seats'),
    help: 'Number of estimated seats (maximum of initial and final seats) associated with requests',
    labelNames: perFlow,
    buckets: [1, 2, 4, 10, 20, 50, 100],
    registers,
  });
  const target = new Gauge({ name: name('target_seats'), help: 'Seat allocation targets', labelNames: ['priority_level'], registers });
  const fraction = new Gauge({
    name: name('seat_fair_frac'),
    help: "Fair fraction of server's concurrency to allocate to each priority level that can use it",
    registers,
  });
  const labels = (level: string, ticket: Ticket) => ({ flow_schema: ticket.schema, priority_level: level });
  return {
    dispatched: (level, ticket) => {
      dispatched.inc(labels(level, ticket));
      seats.observe(labels(level, ticket), Math.max(ticket.work.seats, ticket.work.finalSeats));
    },
    rejected: (level, ticket, reason) => rejected.inc({ ...labels(level, ticket), reason }),
    waited: (level, ticket, seconds, done) => waited.observe({ ...labels(level, ticket), execute: String(done) }, seconds),
    executed: (level, ticket, seconds, type) => executed.observe({ ...labels(level, ticket), type }, seconds),
    allocated: (names, allocation) => {
      fraction.set(allocation.fairFraction);
      for (const [i, level] of names.entries()) target.set({ priority_level: level }, allocation.targets[i] ?? 0);
    },
    register: (registry) => {
      for (const metric of [dispatched, rejected, waited, executed, seats, target, fraction, ...levelGauges(levels)])
        registry.registerMetric(metric);
    },
  };
}
