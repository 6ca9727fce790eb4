/**
 * Answers on the healthCheckNodePort of services with externalTrafficPolicy Local: load balancers ask there whether this
 * node has endpoints. Format of k8s.io/kubernetes pkg/proxy/healthcheck.
 */
import { createServer, type Server } from 'node:http';
import type { Service } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { splitKey } from '#kube/object.ts';
import type { Logger } from '#platform/log.ts';
import type { PortModel } from './model.ts';

interface Check {
  readonly port: number;
  readonly server: Server;
  endpoints: number;
}

export interface HealthChecks {
  /** To be told of every service that changed; undefined or without such a port ends the check. */
  readonly update: (key: string, service: Stored<Service> | undefined, models: readonly PortModel[]) => void;
  readonly close: () => void;
}

export function createHealthChecks(deps: { readonly log: Logger }): HealthChecks {
  const checks = new Map<string, Check>();
  const open = (key: string, port: number): Check => {
    const { namespace, name } = splitKey(key);
    const check: Check = { port, endpoints: 0, server: createServer() };
    check.server.on('request', (_, response) => {
      const body = JSON.stringify({ service: { namespace, name }, localEndpoints: check.endpoints, serviceProxyHealthy: true });
      response.writeHead(check.endpoints > 0 ? 200 : 503, {
        'content-type': 'application/json',
        'x-content-type-options': 'nosniff',
        'x-load-balancing-endpoint-weight': String(check.endpoints),
      });
      response.end(body);
    });
    check.server.on('error', (error) =>
      deps.log.warn('cannot answer health checks of a service', { service: key, port, why: error.message }),
    );
    check.server.listen(port);
    checks.set(key, check);
    return check;
  };
  const close = (key: string): void => {
    const check = checks.get(key);
    checks.delete(key);
    check?.server.close();
    check?.server.closeAllConnections();
  };
  return {
    update: (key, service, models) => {
      const wanted = service?.spec?.externalTrafficPolicy === 'Local' ? (service.spec.healthCheckNodePort ?? 0) : 0;
      const known = checks.get(key);
      if (known !== undefined && known.port !== wanted) close(key);
      if (wanted === 0) return;
      const check = checks.get(key) ?? open(key, wanted);
      check.endpoints = new Set(models.flatMap((m) => m.local.filter((t) => t.local).map((t) => t.ip))).size;
    },
    close: () => {
      for (const key of [...checks.keys()]) close(key);
    },
  };
}
