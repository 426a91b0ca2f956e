package main

import _ "sigs.k8s.io/randfill"

func main() {}
