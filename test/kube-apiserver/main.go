// Kubernetes runs the components of a real control plane, each by its name:
//
//	kubernetes kube-apiserver --etcd-servers ...
//	kubernetes kube-controller-manager --kubeconfig ...
//	kubernetes kube-scheduler --kubeconfig ...
//
// They are k8s.io/kubernetes' own commands, linked once: what they share is most of them.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	if len(os.Args) < 2 {
		fail("a component is missing")
	}
	var command *cobra.Command
	switch os.Args[1] {
	case "kube-apiserver":
		command = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		command = controllermanager.NewControllerManagerCommand()
	case "kube-scheduler":
		command = scheduler.NewSchedulerCommand()
	default:
		fail(fmt.Sprintf("%q is no component that is linked here", os.Args[1]))
	}
	command.SetArgs(os.Args[2:])
	os.Exit(cli.Run(command))
}

func fail(why string) {
	fmt.Fprintf(os.Stderr, "%s: want kube-apiserver, kube-controller-manager or kube-scheduler\n", why)
	os.Exit(2)
}
