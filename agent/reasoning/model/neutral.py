"""Words that say nothing about whose cluster it is, and stay as they are where names are hidden: plain English of logs and
events, and Kubernetes' own words. Where one of them is what an object is called, it is hidden in the places of names only."""

_ENGLISH = """
a about above abort aborted absent accept accepted access action active actual add added address addresses after again
age ago alert alerts all allow allowed allocate already also always an and annotation annotations another answer any
are argument arguments as ask asked at attempt attempts available average back bad backup base be because been before
began begin below between body both broken build built but by bytes call called calls can cannot canceled cancelled
cause causes certificate change changed changes channel check checks child class clean clear close closed cluster code
command commit common complete completed condition conditions config configuration configure configured confirm
connect connected connecting connection connections contain contains content context continue control controller copy
could count cpu crash crashed create created creating critical current data date day days dead deadline debug default
delete deleted deleting denied deny deployment depends describe described detail details detected different dir
directory disabled disk display do does domain done down drop dropped due duration during each early edit either empty
enable enabled end ended endpoint endpoints enough entry env environment equal error errors etc even events every
exceed exceeded except exec existing exist exists exit exited expected expired expires explain external extra fail
failed failing fails failure failures false far fatal few field file files final find finding findings finish finished
first flag follow following for force forbidden format found free from full further gap general generated get give
given go good got grace group groups had handle handler happened hard has hash have head health healthy help here high
history hold hour hours how however http id identity idle if ignore ignored in inactive incident index info initial
input insert inside install instance instead internal interval into invalid is issue it item items its join just keep
kept key keys kill killed kind kinds known label labels last late latency later latest leader least left less level
like likely limit limits line lines link list listen listening load loaded loading local lock log logs long look
looked lost low main make making many match matched matches max maximum may mean means measure memory method metrics
might min minimum minute minutes miss missing mode module more most mount mounted much must my name named names
namespace namespaces native near need needed needs network never new next no node nodes none not nothing now null
number object objects observed of off offset ok old older on once one online only open opened operation option or
other others out output over own owner part partial parse parsing pass passed password past patch path pause peer
pending per permission phase ping place plain please pod pods policy poll pool port ports possible present previous
primary priority probe process processed processing progress property protocol provided pull pulled pulling push put
quota quotes raise ran range rate read reading ready reason receive received recent recovered recover redirect refer
reference refused refuse region register rejected remaining remedy remote remove removed replace replaced reply
request requested requests required requires reset resolve resolved resource resources response restart restarted
restarting restarts result results resume retries retry retrying return returned reverse review revision right rights
role rollout root route row rows rule rules run running runs runtime safe same save scale scaled scheduled scheduling
schema scope score second seconds secret section secure see seen selector self send sending sent serve served server
service services set setting settings setup several severity short should show shown shutdown shut side sign signal
since single size skip skipped slow small so some source space spec stale start started starting starts startup state
static status step still stop stopped stopping stored stream string strong subject succeeded success successful
successfully such suggest summary supported sure switch sync system tag take taken target tcp temporary term
terminated terminating test text than that the their them then there these they thing think this those thread threads
threshold through throttled time timed timeout times tls to today token too took tool tools total trace traffic
trigger true try trying two type types unable unauthorized unavailable under unexpected unhealthy unit unknown unready
until up update updated upgrade upstream url usage use used uses using valid validate validation value values variable
variables verify version very via victim volume volumes wait waited waiting want wants warn warning was watch way we
weight were what when where whether which while who whole why will window with within without word words work worked
working would write writing written wrong year yes yet you your zero zone nobody itself cited cites ruled made
"""
_KUBERNETES = """
admission api apis apiserver apiservers apiversion app apps argo argocd autoscaler autoscaling backoff binding
bindings cidr clusterip clusterrole clusterrolebinding cni configmap configmaps container containers coredns
crashloopbackoff createcontainerconfigerror cri cronjob cronjobs csi customresourcedefinition daemonset daemonsets
deployments egress emptydir endpointslice endpointslices errimagepull etcd evicted eviction failedmount
failedscheduling finalizer finalizers flux generation gi gpu grpc headless helm helmrelease horizontalpodautoscaler
hostpath hpa https ifnotpresent imagepullbackoff ingress ingresses init initcontainers io ip ips ipv4 ipv6 istio k8s
ki kube kubectl kubelet kubernetes kustomization kustomize lease leases limitrange loadbalancer managed mi namespaced
networkpolicy nfs nodeport nodename nvidia oci oom oomkilled operator persistentvolume persistentvolumeclaim
pod-template-hash poddisruptionbudget podip prod production prometheus loki tempo jaeger grafana alertmanager pvc pv
rbac readiness liveness replica replicas replicaset replicasets resourcequota rolebinding rolling rollingupdate
runasuser scheduler serviceaccount serviceaccounts sidecar staging statefulset statefulsets storageclass stdout stderr
svc taint taints toleration udp uid validatingwebhookconfiguration v1 webhook webhooks workload workloads dev
kube-system kube-public kube-node-lease kube-root-ca.crt kube-proxy kube-dns kube-apiserver kube-scheduler
kube-controller-manager cluster.local svc.cluster.local localhost docker containerd linux amd64 arm64 go java python
node.kubernetes.io app.kubernetes.io kubernetes.io cluster-scoped sha256 sha512 www
"""
_WITH_HYPHENS = """
back-off read-only read-write non-zero non-root out-of-memory re-run up-to-date in-memory client-side server-side
built-in so-called time-out log-in sign-in on-disk end-to-end x-request-id content-type content-length user-agent
keep-alive cache-control if-none-match first-party third-party one-off not-ready not-found by-default pre-stop
post-start roll-back start-up shut-down self-signed dry-run as-is key-value long-running single-node multi-node
high-cpu low-memory utf-8 sha-256 x86-64
"""
_EVERYBODYS = "default system http https local kube kubernetes"  # objects of every cluster are called so
_ALSO = "api apis app apps operator prod production staging dev workload"
ORDINARY = frozenset(f"{_ENGLISH} {_ALSO}".split()) - frozenset(_EVERYBODYS.split())
VOCABULARY = frozenset(f"{_ENGLISH} {_KUBERNETES} {_WITH_HYPHENS}".split())
