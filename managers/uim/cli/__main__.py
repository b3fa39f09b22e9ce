from managers.uim.cli.app import main

main()
