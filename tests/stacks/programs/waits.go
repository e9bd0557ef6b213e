// Waits below main.main, main.one, main.(*Shop).two, main.three and main.byNanosleep, in a thread
// of its own with the name "waits".
package main

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

type Shop struct{ waits int }

//go:noinline
func byNanosleep() int {
	nap := syscall.Timespec{Nsec: 4000000}
	syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&nap)), 0, 0)
	return 1
}

//go:noinline
func three() int { return byNanosleep() + 1 }

//go:noinline
func (shop *Shop) two() int {
	shop.waits += three()
	return shop.waits
}

//go:noinline
func one(shop *Shop) int { return shop.two() + 1 }

func main() {
	runtime.LockOSThread()
	name := [16]byte{'w', 'a', 'i', 't', 's'}
	syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0)
	fmt.Println("ready")
	shop := &Shop{}
	for {
		one(shop)
	}
}
