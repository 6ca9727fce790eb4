/** How many seats a request takes: k8s.io/apiserver pkg/util/flowcontrol/request. */
import type { ApiRequest } from '../contract.ts';
import type { RequestInfo } from '../request-info.ts';
import { oneSeat, type Work } from './level.ts';

export interface WorkDeps {
  /** Objects below a key prefix. */
  readonly count: (prefix: string) => number;
  /** Watches that are open on a resource. */
  readonly watches: (group: string, resource: string) => number;
}

const objectsPerSeat = 100;
const watchesPerSeat = 10;
const maxSeats = 10;
/** What a write costs for each seat's worth of watchers, after it was answered. */
const eventMs = 5;

const mutating = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

function listSeats(request: ApiRequest, info: RequestInfo, deps: WorkDeps): number {
  if (info.name !== '' || /^metadata\.name==?[^,]+$/.test(request.query.get('fieldSelector') ?? '')) return 1;
  const place = info.namespace === '' ? '' : `${info.namespace}/`;
  const stored = deps.count(`/registry/${info.group === '' ? 'core' : info.group}/${info.resource}/${place}`);
  const limit = Number(request.query.get('limit') ?? 0);
  const selects = request.query.has('labelSelector') || request.query.has('fieldSelector');
  // With a selector everything is looked at, whatever is sent.
  const objects = limit > 0 && !selects ? Math.min(limit, stored) : stored;
  return Math.min(maxSeats, Math.max(1, Math.ceil(objects / objectsPerSeat)));
}

function writeWork(info: RequestInfo, deps: WorkDeps): Work {
  const watches = info.subresource === 'token' ? 0 : deps.watches(info.group, info.resource);
  if (watches < watchesPerSeat) return oneSeat;
  const seats = Math.ceil(watches / watchesPerSeat);
  const final = Math.min(seats, maxSeats);
  return { seats: 1, finalSeats: final, finalMs: (seats * eventMs) / final };
}

export function workOf(request: ApiRequest, info: RequestInfo, deps: WorkDeps): Work {
  if (!info.isResource) return oneSeat;
  if (info.verb === 'list' || (info.verb === 'watch' && request.query.get('sendInitialEvents') === 'true'))
    return { ...oneSeat, seats: listSeats(request, info, deps) };
  return mutating.has(info.verb) ? writeWork(info, deps) : oneSeat;
}
