"""`python -m tf_splitting` is `tf-splitting`.

It starts more slowly: Python imports the package, and with it Keras, before this.
"""

from tf_splitting_programs.main import main

if __name__ == "__main__":
    main(("python", "-m", "tf_splitting"))
