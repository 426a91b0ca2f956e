/**
 * What `kubectl get` shows of the objects in manifests/, kind by kind, after the table of columns that kube-apiserver's
 * printers have. `*` marks columns that only `-o wide` shows. AGE stands for any duration in the columns that age.
 */
export interface Columns {
  readonly resource: string;
  readonly columns: string;
  readonly rows: readonly string[];
}

export const columnsOfKinds: readonly Columns[] = [
  { resource: 'configmaps', columns: 'NAME | DATA | AGE', rows: ['timetable | 3 | AGE'] },
  {
    resource: 'endpoints',
    columns: 'NAME | ENDPOINTS | AGE',
    rows: ['ferry | 10.20.1.5:8080,10.20.1.6:8080,10.20.1.5:9090 + 1 more... | AGE'],
  },
  {
    resource: 'events',
    columns: 'LAST SEEN | TYPE | REASON | OBJECT | SUBOBJECT* | SOURCE* | MESSAGE | FIRST SEEN* | COUNT* | NAME*',
    rows: [
      'AGE | Warning | BackOff | pod/ferry-0 | spec.containers{bridge} | kubelet, pier-1 | Back-off restarting failed container | AGE | 7 | ferry-0.17a',
      'AGE | Normal | ScalingReplicaSet | deployment/lighthouse |  | deployment-controller, manager-0 | Scaled up replica set lighthouse-5d to 2 | AGE | 1 | ferry.17b',
    ],
  },
  { resource: 'limitranges', columns: 'NAME | CREATED AT', rows: ['deck | 2024-03-01T08:00:00Z'] },
  { resource: 'namespaces', columns: 'NAME | STATUS | AGE', rows: ['harbour | Active | AGE'] },
  {
    resource: 'nodes',
    columns:
      'NAME | STATUS | ROLES | AGE | VERSION | INTERNAL-IP* | EXTERNAL-IP* | OS-IMAGE* | KERNEL-VERSION* | CONTAINER-RUNTIME*',
    rows: [
      'pier-1 | Ready,SchedulingDisabled | dock,worker | AGE | v1.36.1 | 192.168.7.11 | 203.0.113.11 | Harbour OS 3 | 6.12.48 | containerd://2.1.4',
      'pier-2 | NotReady | <none> | AGE | v1.35.0 | <none> | <none> | <unknown> | <unknown> | <unknown>',
    ],
  },
  {
    resource: 'persistentvolumeclaims',
    columns:
      'NAME | STATUS | VOLUME | CAPACITY | ACCESS MODES | STORAGECLASS | VOLUMEATTRIBUTESCLASS | AGE | VOLUMEMODE*',
    rows: ['charts | Bound | hold-1 | 10Gi | RWO | dry | <unset> | AGE | Filesystem'],
  },
  {
    resource: 'persistentvolumes',
    columns:
      'NAME | CAPACITY | ACCESS MODES | RECLAIM POLICY | STATUS | CLAIM | STORAGECLASS | VOLUMEATTRIBUTESCLASS | REASON | AGE | VOLUMEMODE*',
    rows: ['hold-1 | 10Gi | RWO,ROX | Retain | Bound | harbour/charts | dry | <unset> |  | AGE | Filesystem'],
  },
  {
    resource: 'pods',
    columns: 'NAME | READY | STATUS | RESTARTS | AGE | IP* | NODE* | NOMINATED NODE* | READINESS GATES*',
    rows: [
      'ferry-0 | 2/2 | Running | 2 (AGE ago) | AGE | 10.20.1.5 | pier-1 | <none> | 1/1',
      'tug | 0/1 | CrashLoopBackOff | 5 | AGE | <none> | <none> | pier-2 | <none>',
    ],
  },
  {
    resource: 'podtemplates',
    columns: 'NAME | CONTAINERS | IMAGES | POD LABELS',
    rows: ['dinghy | oar,bailer | registry.example.com/oar:1,registry.example.com/bailer:1 | app=dinghy,size=small'],
  },
  {
    resource: 'replicationcontrollers',
    columns: 'NAME | DESIRED | CURRENT | READY | AGE | CONTAINERS* | IMAGES* | SELECTOR*',
    rows: ['buoys | 4 | 3 | 2 | AGE | lamp | registry.example.com/lamp:3 | app=buoy'],
  },
  {
    resource: 'resourcequotas',
    columns: 'NAME | REQUEST | LIMIT | AGE',
    rows: ['berths | pods: 2/20, requests.cpu: 250m/10 | limits.memory: 256Mi/8Gi | AGE'],
  },
  { resource: 'secrets', columns: 'NAME | TYPE | DATA | AGE', rows: ['strongbox | Opaque | 2 | AGE'] },
  { resource: 'serviceaccounts', columns: 'NAME | SECRETS | AGE', rows: ['crew | 1 | AGE'] },
  {
    resource: 'services',
    columns: 'NAME | TYPE | CLUSTER-IP | EXTERNAL-IP | PORT(S) | AGE | SELECTOR*',
    rows: [
      'ferry | ClusterIP | 10.96.7.1 | <none> | 80/TCP,9090/TCP | AGE | app=ferry',
      'terminal | LoadBalancer | 10.96.7.2 | 203.0.113.80,terminal.example.com | 443:30443/TCP | AGE | app=ferry',
      'weather | ExternalName | <none> | weather.example.com | <none> | AGE | <none>',
    ],
  },
  {
    resource: 'mutatingadmissionpolicies',
    columns: 'NAME | MUTATIONS | PARAMKIND | AGE',
    rows: ['flag | 1 | <unset> | AGE'],
  },
  {
    resource: 'mutatingadmissionpolicybindings',
    columns: 'NAME | POLICYNAME | PARAMREF | AGE',
    rows: ['flag-all | flag | <unset> | AGE'],
  },
  { resource: 'mutatingwebhookconfigurations', columns: 'NAME | WEBHOOKS | AGE', rows: ['stampers | 1 | AGE'] },
  {
    resource: 'validatingadmissionpolicies',
    columns: 'NAME | VALIDATIONS | PARAMKIND | AGE',
    rows: ['draught | 2 | v1/ConfigMap | AGE'],
  },
  {
    resource: 'validatingadmissionpolicybindings',
    columns: 'NAME | POLICYNAME | PARAMREF | AGE',
    rows: ['draught-west | draught | harbour/timetable | AGE'],
  },
  { resource: 'validatingwebhookconfigurations', columns: 'NAME | WEBHOOKS | AGE', rows: ['inspectors | 2 | AGE'] },
  {
    resource: 'customresourcedefinitions',
    columns: 'NAME | CREATED AT',
    rows: ['vessels.harbour.example.com | 2024-03-01T08:00:00Z'],
  },
  {
    resource: 'apiservices',
    columns: 'NAME | SERVICE | AVAILABLE | AGE',
    rows: ['v1beta1.tides.example.com | harbour/weather | False (MissingEndpoints) | AGE'],
  },
  {
    resource: 'controllerrevisions',
    columns: 'NAME | CONTROLLER | REVISION | AGE',
    rows: ['ferry-7c | statefulset.apps/ferry | 4 | AGE'],
  },
  {
    resource: 'daemonsets',
    columns:
      'NAME | DESIRED | CURRENT | READY | UP-TO-DATE | AVAILABLE | NODE SELECTOR | AGE | CONTAINERS* | IMAGES* | SELECTOR*',
    rows: [
      'mooring | 5 | 4 | 3 | 2 | 1 | kubernetes.io/os=linux,pier=yes | AGE | rope | registry.example.com/rope:1 | app=mooring',
    ],
  },
  {
    resource: 'deployments',
    columns: 'NAME | READY | UP-TO-DATE | AVAILABLE | AGE | CONTAINERS* | IMAGES* | SELECTOR*',
    rows: [
      'lighthouse | 2/2 | 2 | 2 | AGE | lamp,lens | registry.example.com/lamp:3,registry.example.com/lens:1 | app=lighthouse',
    ],
  },
  {
    resource: 'replicasets',
    columns: 'NAME | DESIRED | CURRENT | READY | AGE | CONTAINERS* | IMAGES* | SELECTOR*',
    rows: [
      'lighthouse-5d | 2 | 2 | 2 | AGE | lamp,lens | registry.example.com/lamp:3,registry.example.com/lens:1 | app=lighthouse,pod-template-hash=5d',
    ],
  },
  {
    resource: 'statefulsets',
    columns: 'NAME | READY | AGE | CONTAINERS* | IMAGES*',
    rows: ['ferry | 1/2 | AGE | bridge,horn | registry.example.com/ferry:1,registry.example.com/horn:4'],
  },
  {
    resource: 'horizontalpodautoscalers',
    columns: 'NAME | REFERENCE | TARGETS | MINPODS | MAXPODS | REPLICAS | AGE',
    rows: ['lighthouse | Deployment/lighthouse | cpu: 35%/60%, memory: <unknown>/200Mi + 1 more... | 2 | 6 | 2 | AGE'],
  },
  {
    resource: 'cronjobs',
    columns: 'NAME | SCHEDULE | TIMEZONE | SUSPEND | ACTIVE | LAST SCHEDULE | AGE | CONTAINERS* | IMAGES* | SELECTOR*',
    rows: [
      'tide-report | */30 * * * * | Europe/Oslo | False | 1 | AGE | AGE | report | registry.example.com/tides:1 | <none>',
    ],
  },
  {
    resource: 'jobs',
    columns: 'NAME | STATUS | COMPLETIONS | DURATION | AGE | CONTAINERS* | IMAGES* | SELECTOR*',
    rows: [
      'dredging | Complete | 3/3 | 2m5s | AGE | dredger | registry.example.com/dredger:1 | job-name=dredging',
      'repainting | Suspended | 1/1 of 4 |  | AGE | brush | registry.example.com/brush:1 | <none>',
    ],
  },
  {
    resource: 'certificatesigningrequests',
    columns: 'NAME | AGE | SIGNERNAME | REQUESTOR | REQUESTEDDURATION | CONDITION',
    rows: ['pier-1-kubelet | AGE | kubernetes.io/kubelet-serving | system:node:pier-1 | 24h | Approved,Issued'],
  },
  { resource: 'leases', columns: 'NAME | HOLDER | AGE', rows: ['pilot | pilot-ida | AGE'] },
  {
    resource: 'endpointslices',
    columns: 'NAME | ADDRESSTYPE | PORTS | ENDPOINTS | AGE',
    rows: ['ferry-x2 | IPv4 | 8080,9090 | 10.20.1.5,10.20.1.6,10.20.1.7 + 1 more... | AGE'],
  },
  {
    resource: 'flowschemas',
    columns: 'NAME | PRIORITYLEVEL | MATCHINGPRECEDENCE | DISTINGUISHERMETHOD | AGE | MISSINGPL',
    rows: ['ferries-first | fairway | 500 | ByUser | AGE | False'],
  },
  {
    resource: 'prioritylevelconfigurations',
    columns: 'NAME | TYPE | NOMINALCONCURRENCYSHARES | QUEUES | HANDSIZE | QUEUELENGTHLIMIT | AGE',
    rows: ['fairway | Limited | 20 | 64 | 6 | 50 | AGE'],
  },
  {
    resource: 'ingressclasses',
    columns: 'NAME | CONTROLLER | PARAMETERS | AGE',
    rows: ['harbour-gate | example.com/gate | GateParameters.example.com/west | AGE'],
  },
  {
    resource: 'ingresses',
    columns: 'NAME | CLASS | HOSTS | ADDRESS | PORTS | AGE',
    rows: [
      'quay | harbour-gate | quay.example.com,a.example.com,b.example.com + 1 more... | 203.0.113.81 | 80, 443 | AGE',
    ],
  },
  { resource: 'ipaddresses', columns: 'NAME | PARENTREF | AGE', rows: ['10.96.7.1 | services/harbour/ferry | AGE'] },
  {
    resource: 'networkpolicies',
    columns: 'NAME | POD-SELECTOR | AGE',
    rows: ['customs | app=ferry,route in (north,south) | AGE'],
  },
  { resource: 'servicecidrs', columns: 'NAME | CIDRS | AGE', rows: ['bay | 10.96.0.0/16,fd00:96::/112 | AGE'] },
  { resource: 'runtimeclasses', columns: 'NAME | HANDLER | AGE', rows: ['submarine | sealed | AGE'] },
  {
    resource: 'poddisruptionbudgets',
    columns: 'NAME | MIN AVAILABLE | MAX UNAVAILABLE | ALLOWED DISRUPTIONS | AGE',
    rows: ['ferry | 50% | N/A | 1 | AGE'],
  },
  {
    resource: 'clusterrolebindings',
    columns: 'NAME | ROLE | AGE | USERS* | GROUPS* | SERVICEACCOUNTS*',
    rows: ['masters | ClusterRole/harbourmaster | AGE |  | port-authority | '],
  },
  { resource: 'clusterroles', columns: 'NAME | CREATED AT', rows: ['harbourmaster | 2024-03-01T08:00:00Z'] },
  {
    resource: 'rolebindings',
    columns: 'NAME | ROLE | AGE | USERS* | GROUPS* | SERVICEACCOUNTS*',
    rows: ['deckhands | Role/deckhand | AGE | ida, ole | sailors | harbour/crew'],
  },
  { resource: 'roles', columns: 'NAME | CREATED AT', rows: ['deckhand | 2024-03-01T08:00:00Z'] },
  { resource: 'deviceclasses', columns: 'NAME | AGE', rows: ['crane | AGE'] },
  { resource: 'resourceclaims', columns: 'NAME | STATE | AGE', rows: ['crane-1 | allocated,reserved | AGE'] },
  { resource: 'resourceclaimtemplates', columns: 'NAME | AGE', rows: ['any-crane | AGE'] },
  {
    resource: 'resourceslices',
    columns: 'NAME | NODE | DRIVER | POOL | AGE',
    rows: ['cranes-west | pier-1 | crane.example.com | west | AGE'],
  },
  {
    resource: 'priorityclasses',
    columns: 'NAME | VALUE | GLOBAL-DEFAULT | AGE | PREEMPTIONPOLICY',
    rows: ['lifeboat | 1000000 | false | AGE | PreemptLowerPriority'],
  },
  {
    resource: 'csidrivers',
    columns:
      'NAME | ATTACHREQUIRED | PODINFOONMOUNT | STORAGECAPACITY | TOKENREQUESTS | REQUIRESREPUBLISH | MODES | AGE',
    rows: ['hold.example.com | true | false | true | customs,port | false | Persistent,Ephemeral | AGE'],
  },
  { resource: 'csinodes', columns: 'NAME | DRIVERS | AGE', rows: ['pier-1 | 2 | AGE'] },
  {
    resource: 'csistoragecapacities',
    columns: 'NAME | STORAGECLASSNAME | CAPACITY | AGE',
    rows: ['hold-west | dry | 512Gi | AGE'],
  },
  {
    resource: 'storageclasses',
    columns: 'NAME | PROVISIONER | RECLAIMPOLICY | VOLUMEBINDINGMODE | ALLOWVOLUMEEXPANSION | AGE',
    rows: ['dry (default) | hold.example.com | Retain | WaitForFirstConsumer | true | AGE'],
  },
  {
    resource: 'volumeattachments',
    columns: 'NAME | ATTACHER | PV | NODE | ATTACHED | AGE',
    rows: ['attach-1 | hold.example.com | hold-1 | pier-1 | true | AGE'],
  },
  {
    resource: 'volumeattributesclasses',
    columns: 'NAME | DRIVERNAME | AGE',
    rows: ['watertight | hold.example.com | AGE'],
  },
];
