/** The kubectl commands which need a node and running pods, with kubectl 1.36 and with Debian's kubectl 1.20. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe } from 'vitest';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';
import { oldKubectl, type Row, tableOf } from './table.ts';

const image = 'example.test/tool:1';
let scenario: Scenario;
let node: ServerNode;

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('node');
  await node.start();
  await node.nodeReady();
  await node.addImage({ name: image });
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

const table = tableOf(() => node);

const sleeper = `{name: c, image: "${image}", command: [sleep, "100000"]`;
const manifest = `cat >pods.yaml <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: c
        image: "${image}"
        command: [sh, -c, "mkdir -p /www; echo hello >/www/index.html; exec httpd -f -p 8080 -h /www"]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ds}
spec:
  selector: {matchLabels: {app: ds}}
  template:
    metadata: {labels: {app: ds}}
    spec: {terminationGracePeriodSeconds: 1, containers: [${sleeper}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: bare}
spec: {terminationGracePeriodSeconds: 1, containers: [${sleeper}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: scratch}
spec: {terminationGracePeriodSeconds: 1, containers: [${sleeper}, volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, emptyDir: {}}]}
Y
`;

/** Waits in the shell until a command succeeds. */
const until = (command: string): string => `timeout 60 sh -c 'until ${command}; do sleep 0.1; done'`;
const settled = 'kubectl rollout status deploy/web --timeout=60s && kubectl rollout status ds/ds --timeout=60s';
const bothSettled: Row = [settled, /deployment "web" successfully rolled out\n[\s\S]*daemon set "ds" successfully rolled out$/];
/** A ready pod of the deployment: those that are going are still listed. */
const pick = `P=$(kubectl get pod -l app=web -o jsonpath='{range .items[*]}{.metadata.deletionTimestamp}{" "}{.metadata.name}{"\\n"}{end}' | sed -n 's/^ //p' | head -n1); `;
const forward = (target: string, port: number): Row => [
  `${pick}kubectl port-forward ${target} 9999:${port} >forward.log 2>&1 & F=$!
${until('grep -q Forwarding forward.log')}; for i in 1 2; do curl -s --max-time 5 http://127.0.0.1:9999/; done; kill $F`,
  'hello\nhello',
];
const terminal = (command: string): string => `timeout 60 script -qec "stty rows 33 cols 111; ${command}" /dev/null`;

/**
 * Types a line into a command and leaves its input open. The containers of `kubectl debug` have no
 * stdinOnce: for them containerd lets go of the output too once the input has ended, whatever is still to come.
 */
const typing = (line: string, command: string): string =>
  `rm -f typed; mkfifo typed; exec 3<>typed; echo ${line} >&3; ${command} <&3; exec 3>&-`;

const draining: readonly Row[] = [
  [`${manifest}kubectl apply -f pods.yaml`, /^deployment\.apps\/web created\n[\s\S]*pod\/scratch created$/],
  bothSettled,
  ['kubectl wait pod/bare pod/scratch --for=condition=Ready --timeout=60s', 'pod/bare condition met\npod/scratch condition met'],
  [
    '! kubectl drain node',
    /^node\/node cordoned\n(?=[\s\S]*DaemonSet-managed Pods \(use --ignore-daemonsets to ignore\): \S+\/ds-)(?=[\s\S]*Pods with local storage \(use --delete-emptydir-data to override\): \S+\/scratch)(?=[\s\S]*\(use --force to override\): \S+\/bare)/,
  ],
  ['kubectl get node node --no-headers', / Ready,SchedulingDisabled /],
  [
    '! kubectl drain node --ignore-daemonsets --force --delete-emptydir-data --timeout=2s',
    /\(will retry after 5s\): Cannot evict pod as it would violate the pod's disruption budget\.\n[\s\S]*global timeout reached: 2s/,
  ],
  ['kubectl get pods -l app=web --no-headers', /^web-\S+ +1\/1 +Running .*\nweb-\S+ +1\/1 +Running .*$/],
  [
    'kubectl delete pdb web; kubectl drain node --ignore-daemonsets --force --delete-emptydir-data --timeout=60s',
    /ignoring DaemonSet-managed Pods: \S+\/ds-[\s\S]*pod\/web-\S+ evicted\n[\s\S]*node\/node (drained|evicted)$/,
  ],
  [
    'kubectl get pods -o wide --sort-by=.metadata.name --no-headers',
    /^ds-\S+ +1\/1 +Running .*\nweb-\S+ +0\/1 +Pending .*\nweb-\S+ +0\/1 +Pending .*$/,
  ],
  ['kubectl uncordon node', 'node/node uncordoned'],
  ['kubectl taint node node away=yes:NoExecute', 'node/node tainted'],
  [`${until('[ -z "$(kubectl get pods -l app=ds -o name)" ]')}; kubectl get ds ds --no-headers`, /^ds +0 +0 +0 +0 +0 /],
  ['kubectl taint node node away-', 'node/node untainted'],
  bothSettled,
];

const streaming: readonly Row[] = [
  [
    `mkdir -p up/sub; echo one >up/a; echo two >up/sub/b; head -c 3000000 /dev/urandom >up/big; rm -rf down
${pick}kubectl cp up $P:/tmp/up && kubectl cp $P:/tmp/up down && diff -r up down && echo same`,
    /(^|\n)same$/,
  ],
  [`${pick}kubectl exec $P -- sh -c 'exit 42'; [ $? = 42 ]`, 'command terminated with exit code 42'],
  [`${pick}echo in | kubectl exec -i $P -- cat`, 'in'],
  ['kubectl exec deploy/web -- hostname', /^web-\w+-\w+$/],
  [`${pick}! kubectl exec $P -c none -- true`, /container none is not valid for pod web-/],
  [
    `${pick}echo 'until stty size | grep "33 111"; do :; done; tty; exit 9' | ${terminal('kubectl exec -it $P -- sh')}; [ $? = 9 ]`,
    /\n33 111\r\n\/dev\/pts\/\d+\r\n/,
  ],
  [
    `kubectl run att --image=${image} --restart=Never -i --attach=false -- sh -c 'while read x; do echo "got $x"; if [ $x = end ]; then exit 4; fi; done'
kubectl wait pod/att --for=condition=Ready --timeout=60s`,
    'pod/att created\npod/att condition met',
  ],
  [`printf 'a\\nend\\n' | kubectl attach -i att`, /(^|\n)got a\ngot end$/],
  [
    `${until('[ $(kubectl get pod att -o jsonpath={.status.phase}) = Failed ]')}; kubectl get pod att -o jsonpath='{.status.containerStatuses[0].state.terminated.exitCode}'`,
    '4',
  ],
  [
    `echo hey | kubectl run -i --rm once --image=${image} --restart=Never -- sh -c 'read x; echo "got $x"'`,
    /(^|\n)got hey\npod "once" deleted/,
  ],
  [
    `echo 'echo hi from $((6*7)); exit' | ${terminal(`kubectl run -it --rm shell --image=${image} --restart=Never -- sh`)}`,
    /\nhi from 42\r\n[\s\S]*pod "shell" deleted/,
  ],
  ['kubectl expose deploy/web --port=80 --target-port=8080', 'service/web exposed'],
  [`${until('kubectl get ep web -o jsonpath={.subsets[0].addresses[0].ip} 2>/dev/null | grep -q .')}`, ''],
  forward('pod/$P', 8080),
  forward('svc/web', 80),
  forward('deploy/web', 8080),
  [
    `${pick}kubectl proxy --port=9998 >proxy.log 2>&1 & F=$!
${until('grep -q Starting proxy.log')}; N=$(kubectl config view --minify -o jsonpath='{..namespace}')
for path in services/web/proxy/ pods/$P:8080/proxy/index.html; do curl -s http://127.0.0.1:9998/api/v1/namespaces/$N/$path; done; kill $F`,
    'hello\nhello',
  ],
  ['! kubectl top pod', 'error: Metrics API not available'],
  ['! kubectl top node', 'error: Metrics API not available'],
  [
    `${pick}kubectl debug $P --copy-to=copy --container=c --image=${image} --share-processes -- sleep 1000; kubectl get pod copy -o jsonpath='{.spec.containers[*].command} {.spec.shareProcessNamespace}'`,
    /\["sleep","1000"\] true$/,
  ],
  [
    typing('in', `kubectl debug node/node -i --image=${image} -- sh -c 'read x; chroot /host true && echo "rooted $x"'`),
    /Creating debugging pod node-debugger-node-\w+ with container debugger on node node\.\n[\s\S]*rooted in/,
  ],
];

const rolling: readonly Row[] = [
  ['kubectl set env deploy/web A=B && kubectl set env ds/ds A=B', 'deployment.apps/web env updated\ndaemonset.apps/ds env updated'],
  bothSettled,
  ['kubectl rollout history deploy/web', /\nREVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>$/],
  ['kubectl rollout history ds/ds', /\nREVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>$/],
  [
    'kubectl rollout undo deploy/web && kubectl rollout undo ds/ds',
    /(^|\n)deployment\.apps\/web rolled back\n[\s\S]*daemonset\.apps\/ds rolled back$/,
  ],
  bothSettled,
  ["kubectl get deploy/web ds/ds -o jsonpath='{.items[*].spec.template.spec.containers[*].env}'", ''],
  ['kubectl rollout pause deploy/web && kubectl set env deploy/web A=C', 'deployment.apps/web paused\ndeployment.apps/web env updated'],
  ['kubectl rollout resume deploy/web && kubectl rollout restart ds/ds', 'deployment.apps/web resumed\ndaemonset.apps/ds restarted'],
  bothSettled,
  [`${pick}kubectl exec $P -- sh -c 'echo $A'`, 'C'],
];

/** `allow` is the flag that names what may be pruned. */
const declaring = (allow: string): readonly Row[] => [
  [
    `for n in one two; do printf "apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: $n, labels: {team: prune}}\\n---\\n"; done >two.yaml
kubectl apply -f two.yaml`,
    'configmap/one created\nconfigmap/two created',
  ],
  [
    `sed -n '1,/---/p' two.yaml | kubectl apply --prune -l team=prune ${allow}=core/v1/ConfigMap -f -`,
    'configmap/one unchanged\nconfigmap/two pruned',
  ],
  [
    `mkdir -p kust; printf 'namePrefix: k-\\ncommonLabels: {made: kust}\\nconfigMapGenerator:\\n- name: gen\\n  literals: [a=1]\\n' >kust/kustomization.yaml
kubectl apply -k kust`,
    /configmap\/k-gen-\w+ created$/,
  ],
  ['kubectl get -k kust -o name', /configmap\/k-gen-\w+$/],
  ['kubectl delete -k kust', /configmap "k-gen-\w+" deleted/],
  [
    'kubectl create role r --verb=get --resource=pods -n $(kubectl config view --minify -o jsonpath={..namespace}) --dry-run=client -o yaml | kubectl auth reconcile -f -',
    /^role\.rbac\.authorization\.k8s\.io\/r reconciled/,
  ],
  [
    'kubectl cluster-info dump --namespaces=$(kubectl config view --minify -o jsonpath={..namespace}) --output-directory=dump >/dev/null; ls dump/*/ | sort',
    /(^|\n)deployments\.json\n[\s\S]*pods\.json\n/,
  ],
  ['kubectl replace --force -f pods.yaml', /deployment\.apps\/web replaced\n[\s\S]*pod\/scratch replaced$/],
  ['kubectl delete -f pods.yaml --wait=false', /^deployment\.apps "web" deleted[\s\S]*pod "scratch" deleted/],
  [`kubectl delete pod --all --now --timeout=60s >/dev/null && kubectl get pods -o name`, ''],
];

describe('kubectl 1.36', () => {
  table('new', [
    ...draining,
    ...streaming,
    [
      `${pick}kubectl debug $P --image=${image} --target=c -c dbg --profile=general -- sleep 1000 >/dev/null
kubectl wait pod/$P --for=jsonpath='{.status.ephemeralContainerStatuses[0].state.running}' --timeout=60s && kubectl exec $P -c dbg -- ps`,
      /condition met\nPID .*\n +1 root +httpd -f -p 8080 -h \/www\n[\s\S]* sleep 1000\n/,
    ],
    [
      `${pick}${typing('in', `kubectl debug $P -i -q --image=${image} -c second --profile=general -- sh -c 'read x; echo "seen $x"'`)}; kubectl logs $P -c second`,
      /seen in\nseen in$/,
    ],
    [`${pick}kubectl describe pod $P`, /\nEphemeral Containers:\n {2}dbg:\n[\s\S]*\n {2}second:\n/],
    [
      `${pick}kubectl events --for pod/$P --types=Normal`,
      / Normal +Started +Pod\/web-\S+ +Container started\n| Normal +Started .* Started container c/,
    ],
    [`${pick}kubectl wait pod/$P --for=jsonpath='{.status.phase}'=Running`, /^pod\/web-\S+ condition met$/],
    [
      'kubectl delete pod copy --now --wait=false; kubectl wait pod/copy --for=delete --timeout=60s',
      /pod "copy" deleted from new namespace/,
    ],
    [
      `${pick}kubectl create token default --duration=20m --audience=a --bound-object-kind=Pod --bound-object-name=$P | cut -d. -f2 | tr '_-' '/+' | base64 -d 2>/dev/null || true`,
      /^(?=.*"aud":\["a"\])(?=.*"pod":\{"name":"web-)/,
    ],
    [
      `kubectl patch node node --subresource=status --type=merge -p '{"status":{"capacity":{"example.test/dongle":"2"}}}'; kubectl get node node --subresource=status -o jsonpath='{.status.capacity.example\\.test/dongle}'`,
      'node/node patched\n2',
    ],
    [
      `openssl req -new -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=no -out refused.csr 2>/dev/null
cat <<Y | kubectl create -f - && kubectl certificate deny refused && kubectl get csr refused --no-headers
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: refused}
spec: {request: $(base64 -w0 refused.csr), signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}
Y`,
      / Denied$/,
    ],
    [
      // kubectl takes events.events.k8s.io for a field of the core group's events.
      `kubectl api-resources -o name | grep -v '^events[.]' | xargs -P 4 -I {} sh -c 'kubectl explain {} --recursive >/dev/null || echo "no {}"'
kubectl explain events --api-version=events.k8s.io/v1 --recursive | head -n 3`,
      /^GROUP: +events\.k8s\.io\nKIND: +Event\nVERSION: +v1$/,
    ],
    ...rolling,
    ...declaring('--prune-allowlist'),
  ]);
});

describe.skipIf(!existsSync(oldKubectl))('kubectl 1.20', () => {
  table('old', [...draining, ...streaming, ...rolling, ...declaring('--prune-whitelist')], oldKubectl);
});
