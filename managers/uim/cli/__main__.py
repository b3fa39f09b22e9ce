from managers.uim.cli.main import main

main()
