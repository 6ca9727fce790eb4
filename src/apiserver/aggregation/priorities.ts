/**
 * In which order discovery shows groups and their versions, which is what decides between kinds of one name in several
 * groups. Facts of pkg/controlplane/apiserver/aggregator.go and cmd/kube-apiserver/app/aggregator.go.
 */

export interface Priority {
  /** groupPriorityMinimum. */
  readonly group: number;
  /** versionPriority. */
  readonly version: number;
}

const builtin: ReadonlyMap<string, Priority> = new Map(
  (
    [
      ['/v1', 18000, 1],
      ['apps/v1', 17800, 15],
      ['events.k8s.io/v1', 17750, 15],
      ['authentication.k8s.io/v1', 17700, 15],
      ['authorization.k8s.io/v1', 17600, 15],
      ['autoscaling/v2', 17500, 30],
      ['autoscaling/v1', 17500, 15],
      ['batch/v1', 17400, 15],
      ['certificates.k8s.io/v1', 17300, 15],
      ['networking.k8s.io/v1', 17200, 15],
      ['policy/v1', 17100, 15],
      ['rbac.authorization.k8s.io/v1', 17000, 15],
      ['storage.k8s.io/v1', 16800, 15],
      ['apiextensions.k8s.io/v1', 16700, 15],
      ['admissionregistration.k8s.io/v1', 16700, 15],
      ['scheduling.k8s.io/v1', 16600, 15],
      ['coordination.k8s.io/v1', 16500, 15],
      ['node.k8s.io/v1', 16300, 15],
      ['discovery.k8s.io/v1', 16200, 15],
      ['resource.k8s.io/v1', 16200, 20],
      ['flowcontrol.apiserver.k8s.io/v1', 16100, 21],
    ] as const
  ).map(([groupVersion, group, version]) => [groupVersion, { group, version }]),
);

/** Of a group version that the server itself brings; undefined where upstream has none. */
export const builtinPriority = (group: string, version: string): Priority | undefined => builtin.get(`${group}/${version}`);

/** pkg/controlplane/controller/crdregistration: below everything else, versions by their names. */
export const customPriority: Priority = { group: 1000, version: 100 };

/** The group of APIServices themselves: no APIService stands for it, none can take its place, and it comes first. */
export const registrationGroup = 'apiregistration.k8s.io';
export const registrationPriority: Priority = { group: 20000, version: 1000 };

/** An APIService's name: version, dot, group. */
export const apiServiceName = (group: string, version: string): string => `${version}.${group}`;
