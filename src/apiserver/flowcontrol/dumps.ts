/** What administrators may look at under overload: k8s.io/apiserver pkg/util/flowcontrol/apf_controller_debug.go. */
import type { ApiResponse, ExtraRoute } from '../contract.ts';
import type { PriorityLevel, Ticket } from './level.ts';

type Levels = () => ReadonlyMap<string, { readonly level: PriorityLevel }>;

/** Columns as Go's tabwriter aligns them. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((r) => (r[column] ?? '').length)));
  return rows.map((r) => r.map((cell, i) => (i === r.length - 1 ? cell : `${cell},`.padEnd((widths[i] ?? 0) + 2))).join('')).join('\n');
}

const sorted = (levels: Levels) => [...levels()].sort(([a], [b]) => (a < b ? -1 : 1));

function priorityLevels(levels: Levels): string {
  const head =
    'PriorityLevelName ActiveQueues IsIdle IsQuiescing WaitingRequests ExecutingRequests DispatchedRequests RejectedRequests TimedoutRequests CancelledRequests';
  const rows = sorted(levels).map(([name, { level }]) => {
    const f = level.figures();
    const idle = f.executing === 0 && f.waiting === 0;
    const rejected = f.refused['queue-full'] + f.refused['concurrency-limit'];
    return [
      name,
      f.activeQueues,
      idle,
      false,
      f.waiting,
      f.executing,
      f.dispatched,
      rejected,
      f.refused['time-out'],
      f.refused.cancelled,
    ].map(String);
  });
  return table([head.split(' '), ...rows]);
}

function queues(levels: Levels): string {
  const head =
    'PriorityLevelName Index PendingRequests ExecutingRequests SeatsInUse NextDispatchR InitialSeatsSum MaxSeatsSum TotalWorkSum';
  const rows = sorted(levels).flatMap(([name, { level }]) =>
    level.queues().map((q) => {
      const sum = (of: (t: Ticket) => number): number => q.waiting.reduce((n, t) => n + of(t), 0);
      const work = sum((t) => t.work.seats * 0.003 + (t.work.finalSeats * t.work.finalMs) / 1000);
      const widest = sum((t) => Math.max(t.work.seats, t.work.finalSeats));
      const figures = [
        q.index,
        q.waiting.length,
        q.executing,
        q.seats,
        `${q.served.toFixed(8)}ss`,
        sum((t) => t.work.seats),
        widest,
        `${work.toFixed(8)}ss`,
      ];
      return [name, ...figures.map(String)];
    }),
  );
  return table([head.split(' '), ...rows]);
}

function requests(levels: Levels, details: boolean): string {
  const head =
    'PriorityLevelName FlowSchemaName QueueIndex RequestIndexInQueue FlowDistingsher ArriveTime InitialSeats FinalSeats AdditionalLatency StartTime';
  const more = 'UserName Verb APIPath Namespace Name APIVersion Resource SubResource';
  const rows = sorted(levels).flatMap(([name, { level }]) =>
    level.queues().flatMap((q) =>
      q.waiting.map((t, i) => {
        const { seats, finalSeats, finalMs } = t.work;
        const own = [name, t.schema, q.index, i, t.distinguisher, new Date(t.arrived).toISOString(), seats, finalSeats, `${finalMs}ms`, ''];
        return [...own.map(String), ...(details ? t.details : [])];
      }),
    ),
  );
  return table([[...head.split(' '), ...(details ? more.split(' ') : [])], ...rows]);
}

export function dumpRoutes(levels: Levels): readonly ExtraRoute[] {
  const route = (name: string, dump: (query: URLSearchParams) => string): ExtraRoute => ({
    methods: ['GET'],
    path: `/debug/api_priority_and_fairness/${name}`,
    access: 'authorized',
    handle: (request) => {
      const answer: ApiResponse = {
        type: 'bytes',
        status: 200,
        contentType: 'text/plain; charset=utf-8',
        headers: { 'x-content-type-options': 'nosniff' },
        body: `${dump(request.query)}\n`,
      };
      return Promise.resolve(answer);
    },
  });
  return [
    route('dump_priority_levels', () => priorityLevels(levels)),
    route('dump_queues', () => queues(levels)),
    route('dump_requests', (query) => requests(levels, ['1', 'true', 't'].includes(query.get('includeRequestDetails') ?? ''))),
  ];
}
