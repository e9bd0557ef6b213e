from kscope.cli import main

main()
