/** What real kubectl prints, command by command, against a server without a node. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe } from 'vitest';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';
import { oldKubectl, tableOf } from './table.ts';

let scenario: Scenario;
let node: ServerNode;

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('server', ['--disable-agent']);
  await node.start();
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

const table = tableOf(() => node);

const app = (image: string) => `cat >app.yaml <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 1
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec: {containers: [{name: c, image: "${image}"}]}
Y
`;

describe('create, get and describe', () => {
  table('created', [
    ['kubectl create deployment web --image=example.test/web:1 --replicas=2 --port=80', 'deployment.apps/web created'],
    [
      '! kubectl create deployment web --image=example.test/web:1',
      'error: failed to create deployment: deployments.apps "web" already exists',
    ],
    ['kubectl create job once --image=example.test/tool:1 -- echo hi', 'job.batch/once created'],
    ["kubectl create cronjob cj --image=example.test/tool:1 --schedule='0 0 1 1 *' -- echo hi", 'cronjob.batch/cj created'],
    ['kubectl create job manual --from=cronjob/cj', 'job.batch/manual created'],
    ['kubectl create configmap cm --from-literal=a=1 --from-literal=b=2', 'configmap/cm created'],
    ['kubectl create secret generic sec --from-literal=p=q', 'secret/sec created'],
    [
      'kubectl create secret docker-registry reg --docker-username=u --docker-password=p --docker-server=example.test',
      'secret/reg created',
    ],
    ['kubectl create service clusterip cip --tcp=80:8080', 'service/cip created'],
    ['kubectl create service nodeport np --tcp=80 --node-port=30123', 'service/np created'],
    ['kubectl create service loadbalancer lb --tcp=80', 'service/lb created'],
    ['kubectl create service externalname en --external-name=a.example.test', 'service/en created'],
    [
      'kubectl create role reader --verb=get,list --resource=pods,deployments.apps,pods/log',
      'role.rbac.authorization.k8s.io/reader created',
    ],
    [
      'kubectl create rolebinding rb --role=reader --user=jane --serviceaccount=created:sa',
      'rolebinding.rbac.authorization.k8s.io/rb created',
    ],
    [
      'kubectl create clusterrole created-cr --verb=get --resource=nodes --resource-name=x',
      'clusterrole.rbac.authorization.k8s.io/created-cr created',
    ],
    [
      'kubectl create clusterrole created-agg --aggregation-rule=example.test/agg=true',
      'clusterrole.rbac.authorization.k8s.io/created-agg created',
    ],
    [
      "kubectl create clusterrole created-url --verb=get --non-resource-url='/logs/*'",
      'clusterrole.rbac.authorization.k8s.io/created-url created',
    ],
    [
      'kubectl create clusterrolebinding created-crb --clusterrole=created-cr --group=g',
      'clusterrolebinding.rbac.authorization.k8s.io/created-crb created',
    ],
    ["kubectl create ingress ing --class=c --rule='example.test/bar*=cip:80,tls=cert'", 'ingress.networking.k8s.io/ing created'],
    ['kubectl create quota q --hard=count/configmaps=10', 'resourcequota/q created'],
    ['kubectl create pdb pdb --selector=app=web --min-available=1', 'poddisruptionbudget.policy/pdb created'],
    ['kubectl create priorityclass created-pc --value=1000 --description=some', 'priorityclass.scheduling.k8s.io/created-pc created'],
    ['kubectl create serviceaccount sa', 'serviceaccount/sa created'],
    ['kubectl create token sa --duration=10m', /^[\w-]+\.[\w-]+\.[\w-]+$/],
    ['kubectl run one --image=example.test/tool:1 --labels=a=b --env=A=B -- sleep 1', 'pod/one created'],
    ['kubectl get deployment web', /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/2 +\d +0 +\d+s$/],
    ['kubectl get deployment web -o wide', /AGE +CONTAINERS +IMAGES +SELECTOR\nweb .* web +example\.test\/web:1 +app=web$/],
    ['kubectl get deployment web -o name', 'deployment.apps/web'],
    ["kubectl get deployment web -o jsonpath='{.spec.replicas} {.spec.template.spec.containers[*].image}'", '2 example.test/web:1'],
    ["kubectl get deployment web -o go-template='{{.metadata.name}}'", 'web'],
    ['kubectl get deployment web -o json', /^{\n {4}"apiVersion": "apps\/v1",\n {4}"kind": "Deployment",/],
    ['kubectl get deployment -o custom-columns=N:.metadata.name,R:.spec.replicas', 'N     R\nweb   2'],
    ['kubectl get deployment web --subresource=scale', /^NAME +DESIRED +AVAILABLE +AGE\nweb +2 +\d +\d+s$/],
    [
      'kubectl get cm cm -o yaml',
      /^apiVersion: v1\ndata:\n {2}a: "1"\n {2}b: "2"\nkind: ConfigMap\nmetadata:\n {2}creationTimestamp: ".*Z"\n {2}name: cm\n {2}namespace: created\n {2}resourceVersion: "\d+"\n {2}uid: [\w-]+$/,
    ],
    ['kubectl wait job/once --for=jsonpath={.status.active}=1 --timeout=20s', 'job.batch/once condition met'],
    ['kubectl wait --for=create pod -l app=web --timeout=20s', /^pod\/web-\S+ condition met/],
    ['kubectl get job,cj', /job\.batch\/once +Running +0\/1[\s\S]*cronjob\.batch\/cj +0 0 1 1 \* +<none> +False/],
    [
      'kubectl get svc --no-headers --sort-by=.metadata.name',
      /^cip [\s\S]*\nen +ExternalName +<none> +a\.example\.test +<none> [\s\S]*\nlb [\s\S]*\nnp +NodePort +10\.43\.\d+\.\d+ +<none> +80:30123\/TCP/,
    ],
    ['kubectl get svc --field-selector=metadata.name=cip -o name', 'service/cip'],
    ["kubectl get svc -l 'app in (np, lb),app!=lb' -o name", 'service/np'],
    ['kubectl get secret --field-selector=type=Opaque', /^NAME +TYPE +DATA +AGE\nsec +Opaque +1 +\d+s$/],
    ['kubectl get pod -l a=b --show-labels', /LABELS\none +0\/1 +Pending +0 +\d+s +a=b$/],
    ['kubectl get pod one -L a', /AGE +A\none .* b$/],
    ['kubectl get pod --field-selector=spec.nodeName=x', 'No resources found in created namespace.'],
    [
      '! kubectl get pod --field-selector=foo=x',
      'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "", field selector "foo=x": field label not supported: foo',
    ],
    ['kubectl get pod --chunk-size=1 --no-headers | wc -l', '5'],
    ['kubectl get role,rolebinding -o wide', /rb +Role\/reader +\d+s +jane +created\/sa$/],
    ['kubectl get ingress ing', /^NAME +CLASS +HOSTS +ADDRESS +PORTS +AGE\ning +c +example\.test +80, 443 +\d+s$/],
    ['kubectl get quota q', /^NAME +REQUEST +LIMIT +AGE\nq +count\/configmaps: \d\/10 +\d+s$/],
    ['kubectl get pdb pdb', /^NAME +MIN AVAILABLE +MAX UNAVAILABLE +ALLOWED DISRUPTIONS +AGE\npdb +1 +N\/A +0 +\d+s$/],
    [
      'kubectl get pc created-pc',
      /^NAME +VALUE +GLOBAL-DEFAULT +AGE +PREEMPTIONPOLICY\ncreated-pc +1000 +false +\d+s +PreemptLowerPriority$/,
    ],
    ['kubectl get all -A', /NAMESPACE +NAME [\s\S]*\ncreated +pod\/one [\s\S]*\ndefault +service\/kubernetes +ClusterIP +10\.43\.0\.1 /],
    ['! kubectl get nonsense', 'error: the server doesn\'t have a resource type "nonsense"'],
    ['! kubectl get pod none', 'Error from server (NotFound): pods "none" not found'],
    ['! kubectl get po,deploy none', /pods "none" not found\n.*deployments\.apps "none" not found$/],
    ['kubectl get cm --watch --request-timeout=1s', /^NAME +DATA +AGE\ncm +2 /],
    ['kubectl events --for deployment/web', /Normal +ScalingReplicaSet +Deployment\/web +Scaled up replica set web-\w+ from 0 to 2$/],
    ['kubectl get events --field-selector=reason=ScalingReplicaSet --no-headers', /deployment\/web/],
    [
      'kubectl describe deployment web',
      /Replicas: +2 desired \| \d updated[\s\S]*NewReplicaSet: +web-\w+ [\s\S]*Normal +ScalingReplicaSet .* deployment-controller/,
    ],
    ['kubectl describe rs', /Controlled By: +Deployment\/web\n[\s\S]*Normal +SuccessfulCreate .* replicaset-controller/],
    [
      'kubectl describe pod one',
      /Status: +Pending\n[\s\S]*kube-api-access-\w+ \(ro\)[\s\S]*FailedScheduling .* no nodes available to schedule pods/,
    ],
    ['kubectl describe job once', /Pods Statuses: +1 Active \(0 Ready\) \/ 0 Succeeded \/ 0 Failed\n[\s\S]*job-controller/],
    ['kubectl describe cronjob cj', /Schedule: +0 0 1 1 \*\nConcurrency Policy: +Allow\n/],
    ['kubectl describe cm cm', /Data\n====\na:\n----\n1\n\nb:\n----\n2\n/],
    ['kubectl describe secret sec', /Type: +Opaque\n\nData\n====\np: +1 bytes$/],
    ['kubectl describe svc np', /IPs: +10\.43\.\S+\n[\s\S]*NodePort: +80 +30123\/TCP\n/],
    ['kubectl describe ingress ing', /cert terminates example\.test\n[\s\S]*\/bar +cip:80 /],
    ['kubectl describe quota q', /count\/configmaps +\d +10$/],
    ['kubectl describe pdb pdb', /Min available: +1\nSelector: +app=web\n/],
    ['kubectl describe sa sa', /^Name: +sa\n/],
    ['kubectl describe role reader', /deployments\.apps +\[\] +\[\] +\[get list\]$/],
    ['kubectl describe rolebinding rb', /Role:\n {2}Kind: +Role\n {2}Name: +reader\n/],
    ['kubectl describe clusterrole created-cr', /nodes +\[\] +\[x\] +\[get\]$/],
    ['kubectl describe clusterrolebinding created-crb', /Group +g/],
    ['kubectl describe pc created-pc', /Value: +1000\n/],
    ['kubectl describe ns created', /Status: +Active\n\nResource Quotas\n {2}Name: +q\n/],
    ['kubectl describe ns created -o nonsense; true', /unknown shorthand flag/],
    ['! kubectl logs none', 'error: error from server (NotFound): pods "none" not found in namespace "created"'],
    ['! kubectl exec none -- true', 'Error from server (NotFound): pods "none" not found'],
    ['! kubectl port-forward none 1:1', 'Error from server (NotFound): pods "none" not found'],
    ['! kubectl top node', 'error: Metrics API not available'],
    ['kubectl delete secret --field-selector=metadata.name=sec', 'secret "sec" deleted from created namespace'],
    ['kubectl delete job --all', 'job.batch "manual" deleted from created namespace\njob.batch "once" deleted from created namespace'],
    ['kubectl delete pod -l a=b --force --grace-period=0', /pod "one" force deleted from created namespace$/],
    [
      '! kubectl delete cm cm none',
      'configmap "cm" deleted from created namespace\nError from server (NotFound): configmaps "none" not found',
    ],
    ['kubectl delete cm cm --ignore-not-found', ''],
    ['kubectl delete ns created --timeout=30s', 'namespace "created" deleted'],
    ['! kubectl create cm late', 'error: failed to create configmap: namespaces "created" not found'],
  ]);
});

describe('apply, edit, patch, scale and set', () => {
  table('applied', [
    [`${app('example.test/app:1')}kubectl apply -f app.yaml`, 'deployment.apps/app created'],
    ['kubectl apply -f app.yaml', 'deployment.apps/app unchanged'],
    ['kubectl diff -f app.yaml', ''],
    [`${app('example.test/app:2')}! kubectl diff -f app.yaml`, /\n-\s+- image: example\.test\/app:1\n\+\s+- image: example\.test\/app:2\n/],
    ['kubectl apply -f app.yaml --dry-run=server', 'deployment.apps/app configured (server dry run)'],
    ['kubectl apply -f app.yaml', 'deployment.apps/app configured'],
    ['kubectl apply view-last-applied deployment/app', /image: example\.test\/app:2/],
    ["kubectl wait deployment/app --for=jsonpath='{.status.observedGeneration}'=2 --timeout=20s", 'deployment.apps/app condition met'],
    ['kubectl rollout history deployment/app', 'deployment.apps/app \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>'],
    ['kubectl rollout history deployment/app --revision=2', /Image:\s+example\.test\/app:2/],
    ['kubectl rollout undo deployment/app', /deployment\.apps\/app rolled back$/],
    ['kubectl rollout pause deployment/app', 'deployment.apps/app paused'],
    ['! kubectl rollout pause deployment/app', 'error: deployments.apps "app" is already paused'],
    ['kubectl rollout resume deployment/app', 'deployment.apps/app resumed'],
    ['kubectl rollout restart deployment/app', 'deployment.apps/app restarted'],
    ['! kubectl rollout status deployment/app --timeout=1s', /Waiting for deployment[\s\S]*timed out waiting for the condition$/],
    ['KUBE_EDITOR="sed -i s/replicas:.1/replicas:\\ 2/" kubectl edit deployment/app', 'deployment.apps/app edited'],
    ['KUBE_EDITOR=true kubectl edit deployment/app', 'Edit cancelled, no changes made.'],
    ['! KUBE_EDITOR="sed -i s/replicas:.2/replicas:\\ -1/" kubectl edit deployment/app', /^error: deployments\.apps "app" is invalid\n/],
    ['! KUBE_EDITOR="sed -i s/replicas:.2/replicaz:\\ 2/" kubectl edit deployment/app', /^error: deployments\.apps "app" is invalid\n/],
    [`kubectl patch deployment app -p '{"spec":{"replicas":3}}'`, 'deployment.apps/app patched'],
    [`kubectl patch deployment app -p '{"spec":{"replicas":3}}'`, 'deployment.apps/app patched (no change)'],
    [`kubectl patch deployment app --type=merge -p '{"spec":{"replicas":4}}'`, 'deployment.apps/app patched'],
    [`kubectl patch deployment app --type=json -p '[{"op":"replace","path":"/spec/replicas","value":1}]'`, 'deployment.apps/app patched'],
    [
      `! kubectl patch deployment app --type=json -p '[{"op":"remove","path":"/spec/none"}]'`,
      'The request is invalid: the server rejected our request due to an error in our request',
    ],
    [`kubectl patch deployment app --subresource=scale --type=merge -p '{"spec":{"replicas":2}}'`, 'scale.autoscaling/app patched'],
    [
      `! kubectl patch deployment app -p '{"spec":{"replicas":"x"}}'`,
      /^The request is invalid: patch: Invalid value: "map\[spec:map\[replicas:x\]\]": /,
    ],
    ['kubectl scale deployment app --replicas=3', 'deployment.apps/app scaled'],
    ['! kubectl scale deployment app --replicas=2 --current-replicas=1', 'error: Expected replicas to be 1, was 3'],
    ['kubectl scale deployment app --replicas=1 --current-replicas=3', 'deployment.apps/app scaled'],
    ['kubectl autoscale deployment app --min=1 --max=3 --cpu=80%', 'horizontalpodautoscaler.autoscaling/app autoscaled'],
    ['kubectl get hpa', /app +Deployment\/app +cpu: <unknown>\/80% +1 +3 /],
    ['kubectl describe hpa app', /resource cpu on pods +\(as a percentage of request\): +<unknown> \/ 80%\n/],
    ['kubectl expose deployment app --port=80 --target-port=8080 --name=exposed', 'service/exposed exposed'],
    ['kubectl set image deployment/app c=example.test/app:9', 'deployment.apps/app image updated'],
    ['kubectl set image deployment/app c=example.test/app:9', ''],
    ['kubectl set env deployment/app A=B', 'deployment.apps/app env updated'],
    ['kubectl set env deployment/app --list', '# Deployment app, container c\nA=B'],
    ['kubectl set resources deployment/app --limits=cpu=1,memory=1Gi', 'deployment.apps/app resource requirements updated'],
    ['kubectl set serviceaccount deployment/app default', 'deployment.apps/app serviceaccount updated'],
    ['kubectl set selector svc exposed x=y', 'service/exposed selector updated'],
    [
      '! kubectl wait deployment/app --for=condition=Available --timeout=1s',
      'error: timed out waiting for the condition on deployments/app',
    ],
    ['kubectl wait deployment/app --for=condition=Progressing --timeout=20s', 'deployment.apps/app condition met'],
    ['kubectl wait cm/none --for=delete --timeout=1s', ''],
    [
      `cat >cm.yaml <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: cm}
data: {a: "1"}
Y
sed 's/"1"/"2"/' cm.yaml >cm2.yaml
kubectl apply --server-side -f cm.yaml`,
      'configmap/cm serverside-applied',
    ],
    [
      '! kubectl apply --server-side --field-manager=other -f cm2.yaml',
      /^error: Apply failed with 1 conflict: conflict with "kubectl": \.data\.a\n/,
    ],
    ['kubectl apply --server-side --field-manager=other -f cm2.yaml --force-conflicts', 'configmap/cm serverside-applied'],
    [
      'kubectl get cm cm -o yaml --show-managed-fields',
      /fieldsV1:\n {6}f:data:\n {8}f:a: \{\}\n {4}manager: other\n {4}operation: Apply\n/,
    ],
    ['kubectl replace -f cm.yaml', 'configmap/cm replaced'],
    ['kubectl replace --force -f cm.yaml', 'configmap "cm" deleted from applied namespace\nconfigmap/cm replaced'],
    ["kubectl wait cm/cm --for=jsonpath='{.data.a}'=1 --timeout=10s", 'configmap/cm condition met'],
    [
      `cat >list.yaml <<'Y'
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: l1}, data: {a: b}}
- {apiVersion: v1, kind: Secret, metadata: {name: l2}, data: {a: YQ==}}
Y
kubectl apply -f list.yaml`,
      'configmap/l1 created\nsecret/l2 created',
    ],
    ['kubectl apply -f list.yaml', 'configmap/l1 unchanged\nsecret/l2 unchanged'],
    ['kubectl label cm l1 a=b', 'configmap/l1 labeled'],
    ['! kubectl label cm l1 a=c', "error: 'a' already has a value (b), and --overwrite is false"],
    ['kubectl label cm l1 a=c --overwrite', 'configmap/l1 labeled'],
    ['kubectl label cm l1 --list', 'a=c'],
    ['kubectl label cm l1 a-', 'configmap/l1 unlabeled'],
    ["kubectl annotate cm l1 note='some words'", 'configmap/l1 annotated'],
    ['kubectl annotate cm l1 note-', 'configmap/l1 annotated'],
    ['kubectl delete -f list.yaml', 'configmap "l1" deleted from applied namespace\nsecret "l2" deleted from applied namespace'],
    [
      "! printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: odd}\\ndatum: {}\\n' | kubectl create -f -",
      /^Error from server \(BadRequest\): error when creating "STDIN": ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "datum"$/,
    ],
    [
      "printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: odd}\\ndatum: {}\\n' | kubectl create --validate=warn -f -",
      'Warning: unknown field "datum"\nconfigmap/odd created',
    ],
    [
      '! kubectl create cm Bad_Name',
      /^error: failed to create configmap: ConfigMap "Bad_Name" is invalid: metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of/,
    ],
    ['kubectl delete ns applied --wait=false', 'namespace "applied" deleted'],
  ]);
});

describe('nodes, rights and certificates', () => {
  table('ruled', [
    [
      "printf 'apiVersion: v1\\nkind: Node\\nmetadata: {name: n1, labels: {kubernetes.io/hostname: n1}}\\n' | kubectl create -f -",
      'node/n1 created',
    ],
    ['kubectl get node n1', /^NAME +STATUS +ROLES +AGE +VERSION\nn1 +\w+ +<none> +\d+s/],
    ['kubectl cordon n1', 'node/n1 cordoned'],
    ['kubectl cordon n1', 'node/n1 already cordoned'],
    ['kubectl get node n1 --no-headers', /SchedulingDisabled/],
    ['kubectl uncordon n1', 'node/n1 uncordoned'],
    ['kubectl taint node n1 k=v:NoSchedule', 'node/n1 tainted'],
    ['! kubectl taint node n1 k=v:NoSchedule', 'error: node n1 already has k taint(s) with same effect(s) and --overwrite is false'],
    ['kubectl taint node n1 k=v2:NoSchedule --overwrite', 'node/n1 modified'],
    ['kubectl taint node n1 k:NoSchedule-', 'node/n1 untainted'],
    ['kubectl drain n1 --dry-run=client', 'node/n1 cordoned (dry run)\nnode/n1 drained (dry run)'],
    ['kubectl drain n1 --dry-run=server', 'node/n1 cordoned (server dry run)\nnode/n1 drained (server dry run)'],
    ['kubectl label node n1 a=b', 'node/n1 labeled'],
    [
      'kubectl describe node n1',
      /Unschedulable: +false\n[\s\S]*Non-terminated Pods: +\(0 in total\)[\s\S]*Normal +RegisteredNode .* node-controller .* Registered Node n1 in Controller/,
    ],
    ['kubectl delete node n1', 'node "n1" deleted'],
    ['kubectl auth can-i get pods', 'yes'],
    ['! kubectl auth can-i get pods --as=jane', 'no'],
    ['kubectl create role reader --verb=get,list --resource=pods', 'role.rbac.authorization.k8s.io/reader created'],
    ['kubectl create rolebinding rb --role=reader --user=jane', 'rolebinding.rbac.authorization.k8s.io/rb created'],
    ['kubectl auth can-i get pods --as=jane', 'yes'],
    ['kubectl auth can-i --list --as=jane', /\npods +\[\] +\[\] +\[get list\]\n/],
    ['kubectl get pods --as=jane', 'No resources found in ruled namespace.'],
    [
      '! kubectl get secrets --as=jane',
      'Error from server (Forbidden): secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace "ruled"',
    ],
    ['kubectl auth whoami --as=jane --as-group=devs', /^ATTRIBUTE +VALUE\nUsername +jane\nGroups +\[devs system:authenticated\]$/],
    ['kubectl auth whoami', /Username +system:admin\nGroups +\[system:masters system:authenticated\]/],
    [
      `openssl ecparam -name prime256v1 -genkey -noout -out x.key && openssl req -new -key x.key -subj /O=devs/CN=jane -out x.csr &&
cat <<Y | kubectl create -f -
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: jane}
spec: {request: $(base64 -w0 x.csr), signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}
Y`,
      'certificatesigningrequest.certificates.k8s.io/jane created',
    ],
    ['kubectl get csr jane --no-headers', /kubernetes\.io\/kube-apiserver-client +system:admin +<none> +Pending$/],
    ['kubectl certificate approve jane', 'certificatesigningrequest.certificates.k8s.io/jane approved'],
    [
      "kubectl wait csr/jane --for=jsonpath='{.status.certificate}' --timeout=20s",
      'certificatesigningrequest.certificates.k8s.io/jane condition met',
    ],
    ['kubectl get csr jane --no-headers', / Approved,Issued$/],
    ['kubectl describe csr jane', /Common Name: +jane\n[\s\S]*Organization: +devs\n/],
    ['! kubectl certificate deny jane', 'error: certificate signing request "jane" is already Approved'],
    [
      "kubectl get csr jane -o jsonpath='{.status.certificate}' | base64 -d >x.crt; kubectl auth whoami --client-certificate=x.crt --client-key=x.key",
      /Username +jane\nGroups +\[devs system:authenticated\]/,
    ],
  ]);
});

describe('what the server offers', () => {
  table('offered', [
    ['kubectl version', /Client Version: v1\.36\.\d+\n[\s\S]*Server Version: v1\.36\.\d+\+k3ts\d+$/],
    ['kubectl cluster-info', /Kubernetes control plane.* is running at/],
    ['kubectl api-versions', /^admissionregistration\.k8s\.io\/v1\n[\s\S]*\napps\/v1\n[\s\S]*\nv1$/],
    ['kubectl api-resources', /\ndeployments +deploy +apps\/v1 +true +Deployment\n/],
    ['kubectl api-resources --namespaced=false -o name', /^componentstatuses\nnamespaces\nnodes\n/],
    [
      'kubectl api-resources --api-group=apps -o wide',
      /deployments +deploy +apps\/v1 +true +Deployment +create,delete,deletecollection,get,list,patch,update,watch +all/,
    ],
    ['kubectl api-resources --verbs=list --categories=all -o name', /^pods\nreplicationcontrollers\nservices\n/],
    ['kubectl get --raw /version', /"minor": "36"/],
    ['kubectl get --raw /readyz?verbose', /readyz check passed$/],
    ['! kubectl get --raw /none', 'Error from server (NotFound): the server could not find the requested resource'],
    [
      'kubectl explain pod',
      /KIND: +Pod\nVERSION: +v1\n[\s\S]*\n {2}metadata\t<ObjectMeta>\n {4}ObjectMeta is metadata[\s\S]*\n {2}spec\t<PodSpec>\n {4}PodSpec is a description of a pod\./,
    ],
    [
      'kubectl explain pod.spec.containers.resources',
      /FIELD: resources <ResourceRequirements>\n[\s\S]*\n {2}limits\t<map\[string\]Quantity>\n/,
    ],
    ['kubectl explain deploy.spec --recursive', /^GROUP: +apps\nKIND: +Deployment\n[\s\S]*\n {2}selector\t<LabelSelector> -required-\n/],
    ['! kubectl explain nonsense', 'the server doesn\'t have a resource type "nonsense"'],
    ['! kubectl explain pod.spec.none', /error: field "none" does not exist$/],
    ['kubectl explain hpa --api-version=autoscaling/v1', /^GROUP: +autoscaling\nKIND: +HorizontalPodAutoscaler\nVERSION: +v1\n/],
    ['kubectl config current-context', 'default'],
    ['kubectl config get-clusters', 'NAME\ndefault'],
    ["kubectl config view --minify -o jsonpath='{.users[0].name}'", 'default'],
    ['kubectl config view', /certificate-authority-data: DATA\+OMITTED/],
    [
      'kubectl get po -o kyaml',
      '---\n{\n  apiVersion: "v1",\n  items: [],\n  kind: "List",\n  metadata: {\n    resourceVersion: "",\n  },\n}',
    ],
    ['kubectl get cm kube-root-ca.crt -o jsonpath-as-json={.metadata.name}', '[\n    "kube-root-ca.crt"\n]'],
  ]);
});

describe('a custom resource', () => {
  table('custom', [
    [
      `cat >crd.yaml <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.example.test}
spec:
  group: example.test
  scope: Namespaced
  names: {plural: lamps, singular: lamp, kind: Lamp, shortNames: [lp], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.watts, statusReplicasPath: .status.watts}}
    additionalPrinterColumns:
    - {name: Color, type: string, jsonPath: .spec.color}
    - {name: Watts, type: integer, jsonPath: .spec.watts, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        description: A lamp shines.
        required: [spec]
        properties:
          spec:
            type: object
            required: [color]
            properties:
              color: {type: string, enum: [red, green], description: What it shines in.}
              watts: {type: integer, minimum: 1, maximum: 100, default: 5}
          status: {type: object, properties: {watts: {type: integer}}}
Y
printf 'apiVersion: example.test/v1\\nkind: Lamp\\nmetadata: {name: desk}\\nspec: {color: red}\\n' >lamp.yaml
kubectl apply -f crd.yaml`,
      'customresourcedefinition.apiextensions.k8s.io/lamps.example.test created',
    ],
    [
      'kubectl wait crd lamps.example.test --for=condition=Established --timeout=20s',
      'customresourcedefinition.apiextensions.k8s.io/lamps.example.test condition met',
    ],
    ['kubectl apply -f lamp.yaml', 'lamp.example.test/desk created'],
    ['kubectl apply -f lamp.yaml', 'lamp.example.test/desk unchanged'],
    ['kubectl get lamps', 'NAME   COLOR\ndesk   red'],
    ['kubectl get lp -o wide', 'NAME   COLOR   WATTS\ndesk   red     5'],
    ['kubectl get all -o name', 'lamp.example.test/desk'],
    ['kubectl explain lamp', /KIND: +Lamp\nVERSION: +v1\n\nDESCRIPTION:\n {4}A lamp shines\.\n/],
    ['kubectl explain lamp.spec', /\n {2}color\t<string> -required-\n {2}enum: red, green\n {4}What it shines in\.\n/],
    ['kubectl describe lamp desk', /Spec:\n {2}Color: +red\n {2}Watts: +5\nEvents: +<none>$/],
    [
      '! sed s/red/blue/ lamp.yaml | kubectl apply -f -',
      'The Lamp "desk" is invalid: spec.color: Unsupported value: "blue": supported values: "red", "green"',
    ],
    ["! sed 's/color: red/color: red, size: 1/' lamp.yaml | kubectl apply -f -", /strict decoding error: unknown field "spec\.size"$/],
    ["sed 's/color: red/color: red, size: 1/' lamp.yaml | kubectl apply --validate=warn -f -", /^Warning: unknown field "spec\.size"\n/],
    ['kubectl scale lamp desk --replicas=9', 'lamp.example.test/desk scaled'],
    [`kubectl patch lamp desk --type=merge -p '{"spec":{"color":"green"}}'`, 'lamp.example.test/desk patched'],
    [
      `! kubectl patch lamp desk -p '{"spec":{"color":"green"}}'`,
      /^error: application\/strategic-merge-patch\+json is not supported by example\.test\/v1, Kind=Lamp: /,
    ],
    [
      `! kubectl patch lamp desk --type=merge -p '{"spec":{"watts":1000}}'`,
      'The Lamp "desk" is invalid: spec.watts: Invalid value: 1000: spec.watts in body should be less than or equal to 100',
    ],
    [`kubectl patch lamp desk --subresource=status --type=merge -p '{"status":{"watts":9}}'`, 'lamp.example.test/desk patched'],
    ["kubectl get lamp desk -o jsonpath='{.status.watts} {.spec.watts} {.spec.color}'", '9 9 green'],
    ['kubectl delete lamp desk', 'lamp.example.test "desk" deleted from custom namespace'],
    ['kubectl delete crd lamps.example.test', 'customresourcedefinition.apiextensions.k8s.io "lamps.example.test" deleted'],
    ['! kubectl get lamps', /the server (could not find the requested resource|doesn't have a resource type "lamps")$/],
  ]);
});

/** What Debian 12 has: sixteen releases older, far outside the supported skew, yet on many machines. */
describe.skipIf(!existsSync(oldKubectl))('kubectl 1.20', () => {
  table(
    'old',
    [
      ['kubectl version --short', /Client Version: v1\.20\.\d+\nServer Version: v1\.36\.\d+\+k3ts\d+/],
      [`${app('example.test/app:1')}kubectl apply -f app.yaml`, 'deployment.apps/app created'],
      ['kubectl apply -f app.yaml', 'deployment.apps/app unchanged'],
      ['kubectl get deploy', /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\napp +0\/1 /],
      ['kubectl get deploy app -o name', 'deployment.apps/app'],
      ['kubectl scale deploy app --replicas=2', 'deployment.apps/app scaled'],
      [`kubectl patch deploy app -p '{"spec":{"replicas":3}}'`, 'deployment.apps/app patched'],
      ['kubectl create configmap cm --from-literal=a=1', 'configmap/cm created'],
      ["kubectl get cm cm -o jsonpath='{.data.a}'", '1'],
      [
        '! printf "apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: odd}\\ndatum: {}\\n" | kubectl create -f -',
        /unknown field "datum" in io\.k8s\.api\.core\.v1\.ConfigMap/,
      ],
      ['kubectl describe deploy app', /Replicas: +3 desired /],
      ['kubectl label cm cm a=b', 'configmap/cm labeled'],
      ['kubectl explain pod.spec', /RESOURCE: +spec <Object>\n/],
      ['kubectl api-resources', /deployments +deploy +apps\/v1 +true +Deployment\n/],
      ['kubectl auth can-i get pods', 'yes'],
      ['kubectl rollout history deploy/app', /REVISION +CHANGE-CAUSE\n1 +<none>/],
      ['kubectl delete -f app.yaml', 'deployment.apps "app" deleted'],
    ],
    oldKubectl,
  );
});
