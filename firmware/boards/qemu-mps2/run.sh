#!/bin/sh
# Runs an image by hand: run.sh IMAGE FLASH [key=value…]. FLASH is a file of at least six pages of 4096 bytes: the first holds
# the node configuration, the next two the settings, the rest the outbox. Keys: rows and pace_ms (rows of the recording to sample at that pace, at first),
# cut (a file that lists the channels whose wires are cut). The host's loopback is 10.0.2.2 to the node.
image=$1 flash=$2
shift 2
config=enable=on,target=native,arg=sen,arg=flash=$flash
for word; do config=$config,arg=$word; done
exec qemu-system-arm -M mps2-an385 -kernel "$image" -display none -monitor none -serial stdio \
    -nic user,model=lan9118 -semihosting-config "$config"
